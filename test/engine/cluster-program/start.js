require("../../../compile").compile("src", "test/engine/cluster-program/index.ts");
module.exports = require("./index.ts");
