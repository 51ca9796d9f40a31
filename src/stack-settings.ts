import { monitoringChecks } from "./monitoring/settings-checks";
import { loadSettings } from "./settings/load";

/** The settings of the stack that runs. Every fault of the stack config ends the program here, before the first resource. */
export const settings = loadSettings(monitoringChecks);
