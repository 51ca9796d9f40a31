// What `pulumi --cwd access` starts; the program is index.ts.
require("../compile").compile("access");
module.exports = require("./index.ts");
