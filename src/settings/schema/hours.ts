import { z } from "zod";
import { daysOf, isTimeZone, minuteOf } from "../../hours/schedule";
import { count } from "./values";

/** Which of a model's replicas run when, and until when any does. */

const time = (rule: string) => z.string().refine((value) => minuteOf(value) !== undefined, rule);

/** A date without quotes in a stack file is one to YAML, and Pulumi hands it on as Go prints it: 2030-06-30 18:00:00 +0200 +0200. */
const asTyped = (value: unknown): unknown =>
    typeof value === "string" ? value.replace(/^(\S+) (\S+) ([+-]\d\d)(\d\d) \S+$/, "$1T$2$3:$4") : value;

/** With seconds or without, on a day that there is. */
const dateTime = z.union([z.iso.datetime({ offset: true }), z.iso.datetime({ offset: true, precision: -1 })]);

/** An entry of the schedule. */
export const hours = z.strictObject({
    /**
     * Days on which the entry begins: names of three letters, with `-` for all from one to another and `,` between.
     * @default none: has to be set
     * @change live
     */
    days: z
        .string()
        .refine((value) => daysOf(value) !== undefined, 'give days such as "mon-fri", "sat,sun" or "mon-wed,fri"'),
    /**
     * First minute, by the wall clock of `timeZone`.
     * @unit HH:MM
     * @default none: has to be set
     * @change live
     */
    from: time('give a time from 00:00 to 23:59, such as "08:00"').refine(
        (value) => value !== "24:00",
        'give "00:00" of the next day',
    ),
    /**
     * The minute after the last one; `24:00` is the end of the day. Not later than `from`, it is of the next day.
     * @unit HH:MM
     * @default none: has to be set
     * @change live
     */
    to: time('give a time from 00:00 to 24:00, such as "19:00"'),
    /**
     * Whose wall clock counts: a name of the IANA list. Its daylight saving is followed.
     * @default none: has to be set
     * @change live
     */
    timeZone: z
        .string()
        .refine(
            isTimeZone,
            'give a time zone by its name, such as "Europe/Paris" or "UTC"; an offset has no summer time',
        ),
    /**
     * Replicas that always run meanwhile.
     * @default none: has to be set
     * @change live
     * @cost so many replicas for the hours of the entry
     */
    min: count.min(0),
    /**
     * Replicas under the highest load meanwhile.
     * @default none: has to be set
     * @change live
     * @cost so many replicas at most
     */
    max: count.min(1),
});

/** How long a model is to be there at all. */
export const lease = z.strictObject({
    /**
     * The app is stopped then, and keeps its address; `pulumi up` starts it again only once this is later than now.
     * @unit date and time with an offset, ISO 8601
     * @default none: for ever
     * @example pulumi config set --path models.ministral.lease.until 2030-06-30T18:00:00+02:00
     * @change live; a later one starts an app that its end has stopped
     * @cost nothing is billed for the app after it
     */
    until: z.preprocess(
        asTyped,
        z
            .string()
            .refine(
                (value) => dateTime.safeParse(value).success,
                "give date and time with an offset, such as 2030-06-30T18:00:00+02:00",
            ),
    ),
});
