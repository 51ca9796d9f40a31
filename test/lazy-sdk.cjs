// Loaded before anything else by the Node processes of tests (`--require`). Of what Pulumi's SDK loads at each start, npm's
// dependency tree and TypeScript are half of the CPU time; they are for turning functions into text, and wait here until that
// is asked for. They are the real ones then.
const Module = require("node:module");

const late = new Set(["@npmcli/arborist", "typescript"]);
const load = Module._load;

Module._load = function (request, parent, ...rest) {
    if (!late.has(request) || !parent?.filename?.includes("/@pulumi/pulumi/")) {
        return load.call(this, request, parent, ...rest);
    }
    const module = () => load.call(this, request, parent, ...rest);
    return new Proxy(Object.create(null), {
        // Said to be an ES module: else the SDK copies all that it exports, which would load it.
        get: (_, name) => (name === "__esModule" ? true : module()[name]),
        has: (_, name) => name in module(),
    });
};
