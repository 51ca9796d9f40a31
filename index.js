// What `pulumi` starts; the program is index.ts.
require("./compile").compile("index.ts", "src");
module.exports = require("./index.ts");
