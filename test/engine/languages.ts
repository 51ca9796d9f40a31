/**
 * `npm run test:languages -- yaml python`: the examples of packages/ai-deploy with the real engine and the real host of their
 * language, on a local OVHcloud. Not among the tests, because the hosts come with a released Pulumi, and are in no package
 * registry: they have to be on PATH (`pulumi-language-yaml`; `pulumi-language-python` with its `-exec`).
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sandboxProjectId } from "../../sandbox/credentials";
import { checkout } from "../../sandbox/layout";
import { installPlugin, noClusters, openStage, pluginExecutable, type Stage } from "./plugin-stage";

const hfToken = "hf_languages_canary";

async function tryLanguage(language: string): Promise<void> {
    const program = mkdtempSync(join(realpathSync(tmpdir()), `language-${language}-`));
    cpSync(join(checkout, "packages/ai-deploy/examples", language), program, { recursive: true });
    const stage = await openStage({ program, config: {}, mks: noClusters });
    const say = (what: string): void => console.log(`${language}: ${what}`);
    try {
        installPlugin(stage);
        if (language === "python") makeVenv(program);
        // Programs in YAML need no SDK: they name the package.
        if (language !== "yaml") {
            await succeed(stage.pulumi(["package", "add", pluginExecutable]));
            say("package added");
        }
        await stage.configureSecret("huggingFaceToken", hfToken);
        stage.configure({ adoptionLabel: "languages-0a1b2c3d" });
        await succeed(stage.up());
        const { url, token } = await stage.outputs();
        const statuses = [await statusOf(stage, url, token), await statusOf(stage, url, "wrong")];
        if (statuses.join() !== "200,401") throw new Error(`the app answers ${statuses.join()}`);
        say("up, the app answers its token, and no other");
        await succeed(stage.previewNothing());
        await succeed(stage.refreshNothing());
        say("a preview and a refresh show nothing");
        for (const secret of [hfToken, token as string]) {
            if (stage.stateText().includes(secret)) throw new Error("a secret lies in the state in clear");
        }
        await importAgain(stage);
        say("the app imported by its id, no change after it");
        await succeed(stage.destroy());
        const left = [...stage.cloud.api.apps(), ...stage.cloud.api.tokens()];
        if (left.length > 0) throw new Error(`destroy has left ${JSON.stringify(left)}`);
        say("destroyed, nothing left");
    } finally {
        await stage.close();
        rmSync(program, { recursive: true, force: true });
    }
}

/** Takes the app out of the state, and into it again as people do. */
async function importAgain(stage: Stage): Promise<void> {
    const [{ id }] = stage.cloud.api.apps();
    const type = "ovh-ai-deploy:index:App";
    const writes = stage.writes().length;
    await stage.forget(type);
    const flags = ["--yes", "--protect=false", "--generate-code=false", "--skip-preview"];
    const where = ["--stack", "test", "--config-file", stage.configFile];
    await succeed(stage.pulumi(["import", type, "llm", `${sandboxProjectId}/${id}`, ...flags, ...where]));
    await succeed(stage.previewNothing());
    if (stage.writes().length > writes) throw new Error(`the import wrote ${stage.writes().slice(writes).join()}`);
}

function makeVenv(program: string): void {
    const run = (command: string, ...args: string[]): void => {
        const { status, stderr } = spawnSync(command, args, { cwd: program, encoding: "utf8" });
        if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
    };
    run("python3", "-m", "venv", "venv");
    run("venv/bin/pip", "install", "--quiet", "-r", "requirements.txt");
}

async function succeed(run: Promise<{ code: number; stdout: string; stderr: string }>): Promise<void> {
    const { code, stdout, stderr } = await run;
    if (code !== 0) throw new Error(stdout + stderr);
}

function statusOf({ cloud }: Stage, url: string, token: string): Promise<number> {
    const options = { ca: readFileSync(cloud.api.caFile), headers: { authorization: `Bearer ${token}` } };
    return new Promise((resolve, reject) => {
        const call = request(`${url}/v1/models`, options, (answer) => {
            answer.resume();
            resolve(answer.statusCode ?? 0);
        });
        call.on("error", reject).end();
    });
}

async function main(): Promise<void> {
    for (const language of process.argv.slice(2)) {
        if (!existsSync(join(checkout, "packages/ai-deploy/examples", language))) {
            throw new Error(`packages/ai-deploy/examples has no ${language}`);
        }
        await tryLanguage(language);
    }
}

main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
});
