interface Lockfile {
    lockfileVersion: number;
    packages: Record<
        string,
        { link?: boolean; integrity?: string; resolved?: string; version?: string; inBundle?: boolean }
    >;
}

/**
 * What in a package-lock.json would let something else be installed than what was reviewed: no sum, a weak one, or an address that is not
 * the registry's. That it fits package.json `npm ci` checks by itself.
 */
export function lockfileFaults(text: string): string[] {
    const { lockfileVersion, packages } = JSON.parse(text) as Lockfile;
    if (lockfileVersion !== 3) {
        return [`lockfileVersion is ${lockfileVersion}, not 3: run npm install with npm 9 or newer`];
    }
    return Object.entries(packages).flatMap(([path, { link, integrity, resolved, inBundle }]) => {
        // The checkout's own packages. What comes inside another package is in that one's sum.
        if (!path.includes("node_modules/") || link || inBundle) return [];
        const found: string[] = [];
        if (!integrity) found.push(`${path} has no integrity`);
        else if (!integrity.startsWith("sha512-")) {
            found.push(`${path} has a weak integrity (${integrity.split("-")[0]})`);
        }
        if (resolved && !resolved.startsWith("https://registry.npmjs.org/")) {
            found.push(`${path} comes from ${new URL(resolved).host}`);
        }
        return found;
    });
}
