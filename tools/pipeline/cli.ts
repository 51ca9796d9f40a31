// `npm run pipeline`: what the jobs of GitHub Actions and GitLab CI do, so that the YAML only calls it (docs/pull-requests.md).
import { runPipeline } from "./run";

runPipeline(process.argv.slice(2)).then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
        console.error((error as Error).message);
        process.exitCode = 2;
    },
);
