// What `pulumi` starts; the program is index.ts.
require("./compile").compile("index.ts", "transforms.ts", "src");
module.exports = require("./index.ts");
