// What `pulumi` starts; the program is index.ts. What OVHcloud could not do, or what costs too much, is refused before its
// first resource.
require("./compile").compile("index.ts", "transforms.ts", "src");
const { settings } = require("./src/stack-settings.ts");
const { refuseImpossible } = require("./src/inference/refuse-impossible.ts");
const { refuseWithoutAccounts } = require("./src/refuse-without-accounts.ts");
const { refuseWithoutOpenStack } = require("./src/cluster/openstack-credentials.ts");
const { stackCost } = require("./src/stack-cost.ts");
refuseWithoutOpenStack(settings);
module.exports = Promise.all([refuseImpossible(settings), refuseWithoutAccounts(settings), stackCost()]).then(() =>
    require("./index.ts"),
);
