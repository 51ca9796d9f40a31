import { isMap } from "../settings/defaults";
import { durationSeconds, nearest } from "../settings/formats";

/**
 * What prometheus-operator would refuse of an Alertmanager configuration: it says so in its log alone, and the old
 * configuration runs on for ever. Taken from its types and checks (pkg/alertmanager, 0.93) and Alertmanager's own.
 * Contents of messages, such as templates, are Alertmanager's to judge.
 */
export interface ConfigFault {
    path: PropertyKey[];
    found?: string;
    fix: string;
}

const words = (text: string): string[] => text.split(" ");

const sections = words("global route receivers inhibit_rules time_intervals mute_time_intervals templates");
const routeKeys = words(
    "receiver group_by match match_re matchers continue routes group_wait group_interval repeat_interval " +
        "mute_time_intervals active_time_intervals",
);
const inhibitKeys = words(
    "source_matchers target_matchers equal source_match source_match_re target_match target_match_re",
);
const globalKeys = words(
    "resolve_timeout http_config smtp_from smtp_hello smtp_smarthost smtp_auth_username smtp_auth_password " +
        "smtp_auth_password_file smtp_auth_secret smtp_auth_secret_file smtp_auth_identity smtp_require_tls smtp_tls_config " +
        "smtp_force_implicit_tls slack_api_url slack_api_url_file slack_app_token slack_app_token_file slack_app_url " +
        "pagerduty_url opsgenie_api_url opsgenie_api_key opsgenie_api_key_file wechat_api_url wechat_api_secret " +
        "wechat_api_secret_file wechat_api_corp_id victorops_api_url victorops_api_key victorops_api_key_file " +
        "telegram_api_url telegram_bot_token telegram_bot_token_file webex_api_url jira_api_url rocketchat_api_url " +
        "rocketchat_token rocketchat_token_file rocketchat_token_id rocketchat_token_id_file mattermost_webhook_url " +
        "mattermost_webhook_url_file",
);

/** A kind of receiver: its keys, those of which one must be there, and the global ones that may stand for them. */
interface Kind {
    keys: string[];
    needs: string[][];
    global?: string[];
}

const kind = (keys: string, needs: string[], global?: string): Kind => ({
    keys: words(`send_resolved http_config ${keys}`),
    needs: needs.map(words),
    global: global === undefined ? undefined : words(global),
});
const kinds: Record<string, Kind> = {
    webhook_configs: kind("url url_file max_alerts timeout payload", ["url url_file"]),
    pagerduty_configs: kind(
        "service_key service_key_file routing_key routing_key_file url client client_url description details images links " +
            "severity class component group source timeout",
        ["routing_key routing_key_file service_key service_key_file"],
    ),
    opsgenie_configs: kind(
        "api_key api_key_file api_url message description source details responders tags note priority update_alerts " +
            "entity actions",
        ["api_key api_key_file"],
        "opsgenie_api_key opsgenie_api_key_file",
    ),
    slack_configs: kind(
        "api_url api_url_file app_token app_token_file app_url channel username color title title_link pretext text fields " +
            "short_fields footer fallback callback_id icon_emoji icon_url image_url thumb_url link_names mrkdwn_in actions " +
            "timeout message_text update_message",
        ["api_url api_url_file app_token app_token_file"],
        "slack_api_url slack_api_url_file slack_app_token slack_app_token_file",
    ),
    email_configs: kind(
        "to from hello smarthost auth_username auth_password auth_password_file auth_secret auth_secret_file auth_identity " +
            "headers html text require_tls tls_config force_implicit_tls threading",
        ["to"],
    ),
    wechat_configs: kind(
        "api_secret api_secret_file api_url corp_id agent_id to_user to_party to_tag message message_type",
        ["api_secret api_secret_file"],
        "wechat_api_secret wechat_api_secret_file",
    ),
    pushover_configs: kind(
        "user_key user_key_file token token_file title message url url_title ttl device sound priority retry expire html " +
            "monospace",
        ["user_key user_key_file", "token token_file"],
    ),
    victorops_configs: kind(
        "api_key api_key_file api_url routing_key message_type state_message entity_display_name monitoring_tool " +
            "custom_fields",
        ["api_key api_key_file"],
        "victorops_api_key victorops_api_key_file",
    ),
    sns_configs: kind(
        "api_url sigv4 topic_arn phone_number target_arn subject message attributes use_aws_http_client",
        ["topic_arn phone_number target_arn"],
    ),
    telegram_configs: kind(
        "api_url bot_token bot_token_file chat_id chat_id_file message_thread_id message disable_notifications parse_mode",
        ["bot_token bot_token_file"],
        "telegram_bot_token telegram_bot_token_file",
    ),
    discord_configs: kind("webhook_url title message content username avatar_url", ["webhook_url"]),
    webex_configs: kind("api_url message room_id", ["room_id"]),
    msteams_configs: kind("webhook_url title summary text", ["webhook_url"]),
    msteamsv2_configs: kind("webhook_url webhook_url_file title text", ["webhook_url webhook_url_file"]),
    jira_configs: kind(
        "api_url project summary description labels priority issue_type reopen_transition resolve_transition " +
            "wont_fix_resolution reopen_duration fields api_type",
        ["project", "issue_type"],
    ),
    rocketchat_configs: kind(
        "api_url token_id token_id_file token token_file channel color title title_link text fields short_fields emoji " +
            "icon_url image_url thumb_url link_names actions",
        ["token token_file"],
        "rocketchat_token rocketchat_token_file",
    ),
    mattermost_configs: kind(
        "webhook_url webhook_url_file channel username text icon_url icon_emoji attachments props priority fallback color " +
            "pretext author_name author_link author_icon title title_link fields thumb_url footer footer_icon image_url",
        ["webhook_url webhook_url_file"],
        "mattermost_webhook_url mattermost_webhook_url_file",
    ),
    incidentio_configs: kind("url url_file alert_source_token alert_source_token_file max_alerts timeout", [
        "url url_file",
    ]),
};

/** The faults of a user's own configuration that is laid over ours. */
export function alertmanagerFaults(own: Record<string, unknown>, ours: Record<string, unknown>): ConfigFault[] {
    const faults = unknownKeys(own, sections, []);
    const global = { ...(ours.global as object), ...(isMap(own.global) ? own.global : {}) };
    if (own.global !== undefined) {
        faults.push(...mapFaults(own.global, ["global"], (map, at) => unknownKeys(map, globalKeys, at)));
        if (isMap(own.global)) faults.push(...durationFaults(own.global, ["resolve_timeout"], ["global"]));
    }
    const taken = namesOf(ours.receivers);
    faults.push(...listFaults(own.receivers, ["receivers"], (one, at) => receiverFaults(one, at, taken, global)));
    const known = {
        receivers: [...taken, ...namesOf(own.receivers)],
        intervals: [...namesOf(own.time_intervals), ...namesOf(own.mute_time_intervals)],
    };
    for (const section of ["time_intervals", "mute_time_intervals"]) {
        faults.push(...listFaults(own[section], [section], namedFaults));
    }
    if (own.route !== undefined) {
        faults.push(...mapFaults(own.route, ["route"], (map, at) => routeFaults(map, at, known)));
    }
    for (const key of ["matchers", "match", "match_re", "continue"]) {
        if (!isMap(own.route) || own.route[key] === undefined) continue;
        faults.push({ path: ["route", key], fix: "give it to one of route.routes: the root takes every alert" });
    }
    const inhibit = (map: Record<string, unknown>, at: PropertyKey[]): ConfigFault[] => [
        ...unknownKeys(map, inhibitKeys, at),
        ...["source_matchers", "target_matchers"].flatMap((key) => matcherFaults(map[key], [...at, key])),
    ];
    faults.push(...listFaults(own.inhibit_rules, ["inhibit_rules"], inhibit));
    return faults;
}

type Check = (map: Record<string, unknown>, at: PropertyKey[]) => ConfigFault[];

function mapFaults(value: unknown, at: PropertyKey[], check: Check): ConfigFault[] {
    return isMap(value) ? check(value, at) : [{ path: at, fix: "give a map" }];
}

function listFaults(value: unknown, at: PropertyKey[], check: Check): ConfigFault[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) return [{ path: at, fix: "give a list" }];
    return value.flatMap((item, index) => mapFaults(item, [...at, index], check));
}

function unknownKeys(map: Record<string, unknown>, known: string[], at: PropertyKey[]): ConfigFault[] {
    return Object.keys(map)
        .filter((key) => !known.includes(key))
        .map((key) => {
            const guess = nearest(key, known);
            const fix = guess ? `did you mean "${guess}"?` : `Alertmanager knows here ${known.join(", ")}`;
            return { path: [...at, key], found: "no such setting", fix };
        });
}

function namesOf(list: unknown): string[] {
    return Array.isArray(list) ? list.flatMap((one: unknown) => (isMap(one) ? [String(one.name)] : [])) : [];
}

function namedFaults(map: Record<string, unknown>, at: PropertyKey[]): ConfigFault[] {
    if (typeof map.name === "string" && map.name !== "") return [];
    return [{ path: [...at, "name"], found: "no name", fix: "give it a name, by which routes find it" }];
}

function receiverFaults(
    map: Record<string, unknown>,
    at: PropertyKey[],
    taken: string[],
    global: Record<string, unknown>,
): ConfigFault[] {
    const faults = [...namedFaults(map, at), ...unknownKeys(map, ["name", ...Object.keys(kinds)], at)];
    if (taken.includes(String(map.name))) {
        faults.push({ path: [...at, "name"], fix: `choose another name: ${taken.join(", ")} are the stack's own` });
    }
    taken.push(String(map.name));
    for (const [name, { keys, needs, global: stands = [] }] of Object.entries(kinds)) {
        const check: Check = (config, where) => [
            ...unknownKeys(config, keys, where),
            ...needs
                .filter((some) => ![...some].some((key) => config[key] !== undefined))
                .filter(() => !stands.some((key) => global[key] !== undefined))
                .map((some) => ({ path: where, found: `no ${some.join(" or ")}`, fix: `give ${some[0]}` })),
            ...(name === "email_configs" ? senderFaults(config, where, global) : []),
        ];
        faults.push(...listFaults(map[name], [...at, name], check));
    }
    return faults;
}

function senderFaults(
    config: Record<string, unknown>,
    at: PropertyKey[],
    global: Record<string, unknown>,
): ConfigFault[] {
    return ["smarthost", "from"]
        .filter((key) => config[key] === undefined && global[`smtp_${key}`] === undefined)
        .map((key) => ({ path: at, found: `no ${key}`, fix: `give ${key}, or smtp_${key} in global` }));
}

function routeFaults(
    map: Record<string, unknown>,
    at: PropertyKey[],
    known: { receivers: string[]; intervals: string[] },
): ConfigFault[] {
    const faults = [
        ...unknownKeys(map, routeKeys, at),
        ...durationFaults(map, ["group_wait", "group_interval", "repeat_interval"], at),
        ...matcherFaults(map.matchers, [...at, "matchers"]),
        ...groupFaults(map.group_by, [...at, "group_by"]),
    ];
    if (map.receiver !== undefined && !known.receivers.includes(map.receiver as string)) {
        const fix = `name one of the receivers: ${known.receivers.join(", ")}`;
        faults.push({ path: [...at, "receiver"], fix });
    }
    for (const key of ["mute_time_intervals", "active_time_intervals"]) {
        for (const name of Array.isArray(map[key]) ? (map[key] as unknown[]) : []) {
            if (known.intervals.includes(name as string)) continue;
            faults.push({ path: [...at, key], fix: `define "${String(name)}" in time_intervals` });
        }
    }
    return [...faults, ...listFaults(map.routes, [...at, "routes"], (one, where) => routeFaults(one, where, known))];
}

function durationFaults(map: Record<string, unknown>, keys: string[], at: PropertyKey[]): ConfigFault[] {
    return keys
        .filter((key) => map[key] !== undefined)
        .filter(
            (key) => durationSeconds(String(map[key])) === undefined && !(key === "group_wait" && map[key] === "0s"),
        )
        .map((key) => ({ path: [...at, key], fix: 'give a duration such as "5m"' }));
}

function groupFaults(labels: unknown, at: PropertyKey[]): ConfigFault[] {
    if (labels === undefined) return [];
    const fit = (label: unknown) => typeof label === "string" && /^[A-Za-z_]\w*$/.test(label);
    if (!Array.isArray(labels)) return [{ path: at, fix: "give a list of labels" }];
    if (labels.length === 1 && labels[0] === "...") return [];
    if (labels.every(fit) && new Set(labels).size === labels.length) return [];
    return [{ path: at, fix: 'give names of labels, each once, or "..." alone' }];
}

/** Matchers as text: label, operator, and value with or without quotes; one or several with commas between. */
const matcher =
    String.raw`(?:"(?:[^"\\]|\\.)+"|[A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^"{}!=~,\\\s'` + "`]*)";
const several = new RegExp(String.raw`^\s*\{?\s*${matcher}(?:\s*,\s*${matcher})*\s*,?\s*\}?\s*$`);

function matcherFaults(matchers: unknown, at: PropertyKey[]): ConfigFault[] {
    if (matchers === undefined) return [];
    if (!Array.isArray(matchers)) return [{ path: at, fix: `give a list such as [severity = "page"]` }];
    return matchers.flatMap((text: unknown, index): ConfigFault[] => {
        if (typeof text !== "string" || !several.test(text)) {
            return [{ path: [...at, index], fix: 'give label, operator and value: severity = "page"' }];
        }
        const expressions = [...text.matchAll(new RegExp(matcher, "g"))].filter(([, operator]) =>
            operator.endsWith("~"),
        );
        if (expressions.every(([, , value]) => isRe2(value.replace(/^"|"$/g, "")))) return [];
        return [{ path: [...at, index], fix: "give a regular expression that Go knows (RE2)" }];
    });
}

/** Whether Go's regexp takes it: what both know, without looking around and backwards, and with flags in front. */
function isRe2(text: string): boolean {
    if (/\(\?<?[=!]|\\[1-9]|\\k</.test(text)) return false;
    try {
        new RegExp(text.replace(/^\(\?[imsU]+\)/, "").replaceAll("(?P<", "(?<"));
        return true;
    } catch {
        return false;
    }
}
