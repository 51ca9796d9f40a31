// What `pulumi --policy-pack policies` starts; the pack is index.ts.
require("../compile").compile("policies", "src/vllm", "src/settings");
require("./index.ts");
