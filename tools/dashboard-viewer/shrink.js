// Takes a PNG from stdin and gives one of few colours to stdout.

import { buffer } from 'node:stream/consumers';
import UPNG from 'upng-js';

const COLORS = 96;

const picture = UPNG.decode((await buffer(process.stdin)).buffer);
const [pixels] = UPNG.toRGBA8(picture);
process.stdout.write(Buffer.from(UPNG.encode([pixels], picture.width, picture.height, COLORS)));
