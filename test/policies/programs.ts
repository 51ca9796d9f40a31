import { faultsOf } from "../settings/config";

/** What the program's own settings say. */
export const formats = {
    takesImage: (image: string): boolean =>
        faultsOf({
            models: { ministral: { image } },
            monitoring: { grafana: { allowedSources: ["203.0.113.0/24"] } },
        }).every(({ key }) => key !== "models.ministral.image"),
};
