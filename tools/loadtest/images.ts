import { crc32, deflateSync } from "node:zlib";

/**
 * A PNG of noise as a data URL: a picture that no cache knows, of a size in pixels that decides its tokens. `random` gives
 * numbers from 0 up to 1.
 */
export function noiseImage(width: number, height: number, random: () => number): string {
    // Blocks of 8 x 8 pixels of one gray keep the file small.
    const across = Math.ceil(width / 8);
    const rows = Buffer.alloc((width + 1) * height); // each row begins with its filter, 0: none
    let grays: number[] = [];
    for (let y = 0; y < height; y++) {
        if (y % 8 === 0) grays = Array.from({ length: across }, () => Math.floor(random() * 256));
        for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = grays[x >> 3];
    }
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head.set([8, 0, 0, 0, 0], 8); // eight bits of gray
    const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const png = Buffer.concat([
        signature,
        chunk("IHDR", head),
        chunk("IDAT", deflateSync(rows)),
        chunk("IEND", Buffer.alloc(0)),
    ]);
    return `data:image/png;base64,${png.toString("base64")}`;
}

function chunk(type: string, data: Buffer): Buffer {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const whole = Buffer.alloc(body.length + 8);
    whole.writeUInt32BE(data.length, 0);
    body.copy(whole, 4);
    whole.writeUInt32BE(crc32(body), body.length + 4);
    return whole;
}
