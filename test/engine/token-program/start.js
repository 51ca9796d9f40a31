require("../../../compile").compile("test/engine/token-program/index.ts");
module.exports = require("./index.ts");
