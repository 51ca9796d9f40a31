// What `pulumi` starts; the program is index.ts. What OVHcloud could not do, or what costs too much, is refused before its
// first resource.
require("./compile").compile("index.ts", "transforms.ts", "src");
const { settings } = require("./src/stack-settings.ts");
const { refuseImpossible } = require("./src/inference/refuse-impossible.ts");
const { refuseWithoutClient } = require("./src/controller/refuse-without-client.ts");
const { refuseWithoutOpenStack } = require("./src/cluster/openstack-credentials.ts");
const { stackCost } = require("./src/stack-cost.ts");
refuseWithoutOpenStack(settings);
module.exports = Promise.all([refuseImpossible(settings), refuseWithoutClient(settings), stackCost()]).then(() =>
    require("./index.ts"),
);
