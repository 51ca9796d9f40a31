// What `pulumi` starts; the program is index.ts. What OVHcloud could not do is refused before its first resource.
require("./compile").compile("index.ts", "transforms.ts", "src");
const { settings } = require("./src/stack-settings.ts");
const { refuseImpossible } = require("./src/inference/refuse-impossible.ts");
module.exports = refuseImpossible(settings).then(() => require("./index.ts"));
