require("../../../compile").compile("test/engine/plugin-program/index.ts");
module.exports = require("./index.ts");
