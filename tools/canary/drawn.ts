import { interval95, type Interval } from "../loadtest/statistics";
import { randomOf } from "../random";

const draws = 2000;

/**
 * Between what a figure lies with a probability of 95 %, by drawing the things that it is of anew (bootstrap). Seeded: the
 * same things give the same answer.
 * @param counts how many things there are on each side; drawn each by itself
 * @param figure of the places drawn on each side; undefined where they have none
 */
export function drawnInterval(counts: number[], figure: (places: number[][]) => number | undefined): Interval {
    const random = randomOf("canary");
    const values: number[] = [];
    for (let draw = 0; draw < draws; draw++) {
        const places = counts.map((count) => Array.from({ length: count }, () => Math.floor(random() * count)));
        const value = figure(places);
        if (value !== undefined) values.push(value);
    }
    return interval95(values);
}
