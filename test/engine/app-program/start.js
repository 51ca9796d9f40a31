require("../../../compile").compile("test/engine/app-program/index.ts");
module.exports = require("./index.ts");
