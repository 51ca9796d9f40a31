import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import type { DaemonSettings } from "../daemon";
import { balancings } from "../ovhcloud/gateway";
import type { Balancing } from "../ovhcloud/status";
import { readProfiles } from "../vllm/profile-file";
import { commandLine } from "../../tools/command-line";
import { faultUsage } from "./fault";
import { UserError } from "./user-error";

export const usage = `Usage: npm run sandbox [-- COMMAND] [OPTIONS]

Commands
  up       start the local OVHcloud and run "pulumi up" of this project on it (default)
  status   what runs, and where
  tour     ten steps through the architecture: ask, load, break, change, tear down; "tour 5" begins with
           the fifth
  fault    let something go wrong, see below
  down     stop everything, keep all state: "up" continues with the same app
  reset    stop everything and remove .sandbox

Options
  --chart PATH   up: use this kube-prometheus-stack chart (folder or .tgz)
  --speed N      up: platform seconds per real second (default 60: a boot of 5 min takes 5 s)
  --balancing B  up: how an app's gateway chooses a replica: ${balancings.join(", ")} (default random)
  --profiles F   up: figures of models and GPUs in place of the built-in ones, see docs/simulation.md
  --engine E     up: what the replicas are: simulated (default), or real: a vllm process each (Linux);
                 the speed is then 1 unless it is given
  --engine-command PATH   real: the executable (default: vllm in PATH)
  --engine-model MODEL    real: serve this one, a folder or a name on the hub, in place of the app's
  --json         status, fault: for machines; of status the exit code is 0 only when everything runs
  --yes          tour: run through, without a question
  --toolchain    reset: also remove the built tools
  --verbose      show stack traces

${faultUsage}`;

/** The command line as words and options. Throws a UserError. */
export function readArguments(args: string[]) {
    try {
        return commandLine({
            args,
            allowPositionals: true,
            options: {
                chart: { type: "string" },
                speed: { type: "string" },
                balancing: { type: "string" },
                profiles: { type: "string" },
                engine: { type: "string" },
                "engine-command": { type: "string" },
                "engine-model": { type: "string" },
                app: { type: "string" },
                replica: { type: "string" },
                factor: { type: "string" },
                rate: { type: "string" },
                status: { type: "string" },
                region: { type: "string" },
                token: { type: "string" },
                after: { type: "string" },
                for: { type: "string" },
                json: { type: "boolean" },
                toolchain: { type: "boolean" },
                yes: { type: "boolean", short: "y" },
                verbose: { type: "boolean" },
                help: { type: "boolean", short: "h" },
            },
        });
    } catch (error) {
        throw new UserError(`${(error as Error).message}${seeUsage}`);
    }
}

/** Not the usage itself, which in a terminal would push the message out of sight. */
export const seeUsage = "\nSee npm run sandbox -- --help";

export type Options = ReturnType<typeof readArguments>["values"];

/** What `up` is asked to change of the daemon's settings; what is undefined stays as it was. */
export type WantedSettings = Partial<Omit<DaemonSettings, "bin">>;

/** Throws a UserError. */
export function wantedSettings(options: Options): WantedSettings {
    const { speed, balancing, profiles } = options;
    const engine = engineOf(options);
    // A real engine boots in real time; a probe's delay must not be over before.
    const usualSpeed = engine === undefined ? undefined : engine === "simulated" ? 60 : 1;
    return {
        speed: speedOf(speed) ?? usualSpeed,
        balancing: balancingOf(balancing),
        profiles: profilesOf(profiles),
        engine,
    };
}

function engineOf({ engine, "engine-command": command, "engine-model": model }: Options): WantedSettings["engine"] {
    if (engine !== undefined && engine !== "simulated" && engine !== "real") {
        throw new UserError(`--engine ${engine}: give simulated or real`);
    }
    if (engine !== "real") {
        if (command !== undefined) throw new UserError("--engine-command: needs --engine real");
        if (model !== undefined) throw new UserError("--engine-model: needs --engine real");
        return engine;
    }
    if (process.platform !== "linux") throw new UserError("--engine real: runs on Linux only, as vLLM's images do");
    const found = executable(command ?? "vllm");
    if (found === undefined) {
        const missing = command === undefined ? "there is no vllm in PATH" : `${command} is no executable file`;
        throw new UserError(`--engine real: ${missing}; name one with --engine-command PATH`);
    }
    const isPath = /^[./~]/.test(model ?? "");
    if (isPath && !existsSync(model!)) throw new UserError(`--engine-model ${model}: there is no such folder`);
    return { command: found, model: isPath ? resolve(model!) : model };
}

/** The absolute path of a program, by its path or by its name in PATH. */
function executable(program: string): string | undefined {
    const places = program.includes("/") ? [""] : (process.env.PATH ?? "").split(delimiter);
    return places
        .map((place) => resolve(place, program))
        .find((file) => {
            try {
                accessSync(file, constants.X_OK);
                return statSync(file).isFile();
            } catch {
                return false;
            }
        });
}

function speedOf(text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    const speed = Number(text);
    if (!(speed >= 1 && speed <= 1000)) {
        throw new UserError(`--speed ${text}: give a number from 1 (real time) to 1000`);
    }
    return speed;
}

function balancingOf(text: string | undefined): Balancing | undefined {
    if (text === undefined || balancings.includes(text as Balancing)) return text as Balancing | undefined;
    throw new UserError(`--balancing ${text}: give one of ${balancings.join(", ")}`);
}

/** The absolute path of a file of profiles that can be read; the daemon reads it again. */
function profilesOf(file: string | undefined): string | undefined {
    if (file === undefined) return undefined;
    try {
        readProfiles(file);
    } catch (error) {
        throw new UserError(`--profiles: ${(error as Error).message}`);
    }
    return resolve(file);
}
