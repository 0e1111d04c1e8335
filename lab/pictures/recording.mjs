/** An animated picture of several pages side by side, for the README. */
import gifenc from 'gifenc';
import { PNG } from 'pngjs';

const { GIFEncoder, applyPalette, quantize } = gifenc;

const GAP_PX = 12;
const COLOURS = 128;
const BACKGROUND = [0xd5, 0xda, 0xe2, 0xff];
const TRANSPARENT = COLOURS;

/** Collects what the pages show. A frame that equals the one before it only makes that one last longer. */
export class Recording {
  #frames = [];

  constructor(...pages) {
    this.pages = pages;
  }

  /** @param ms how long the picture shows the pages as they are now */
  async show(ms) {
    const shots = await Promise.all(this.pages.map((page) => page.screenshot()));
    const pixels = sideBySide(shots.map((shot) => PNG.sync.read(shot)));
    const last = this.#frames.at(-1);
    if (last?.pixels.data.equals(pixels.data)) last.ms += ms;
    else this.#frames.push({ pixels, ms });
  }

  /** Shows the pages as they change, at their own speed, until the promise is settled. */
  async follow(promise) {
    const outcome = { isSettled: false };
    void promise.finally(() => (outcome.isSettled = true)).catch(() => undefined);
    while (!outcome.isSettled) {
      const startedAt = performance.now();
      await this.show(0);
      this.#frames.at(-1).ms += performance.now() - startedAt;
    }
    await promise;
  }

  get seconds() {
    return this.#frames.reduce((sum, { ms }) => sum + ms, 0) / 1_000;
  }

  /** @returns the GIF. One palette for all frames; each frame has only the pixels that change. */
  encode() {
    const { width, height } = this.#frames[0].pixels;
    const palette = quantize(Buffer.concat(this.#frames.map(({ pixels }) => sampled(pixels.data))), COLOURS);
    const gif = GIFEncoder();
    let before;
    for (const { pixels, ms } of this.#frames) {
      const indexed = applyPalette(pixels.data, palette);
      const changed = before
        ? indexed.map((colour, at) => (colour === before[at] ? TRANSPARENT : colour))
        : indexed;
      gif.writeFrame(changed, width, height, {
        palette: before ? undefined : [...palette, [0, 0, 0]],
        transparent: before !== undefined,
        transparentIndex: TRANSPARENT,
        dispose: 1,
        delay: Math.max(20, Math.round(ms)),
      });
      before = indexed;
    }
    gif.finish();
    return Buffer.from(gif.bytes());
  }
}

function sideBySide(pictures) {
  const height = Math.max(...pictures.map((picture) => picture.height));
  const width = pictures.reduce((sum, picture) => sum + picture.width + GAP_PX, -GAP_PX);
  const whole = new PNG({ width, height });
  for (let at = 0; at < whole.data.length; at += 4) whole.data.set(BACKGROUND, at);
  let x = 0;
  for (const picture of pictures) {
    PNG.bitblt(picture, whole, 0, 0, picture.width, picture.height, x, 0);
    x += picture.width + GAP_PX;
  }
  return whole;
}

/** Every 16th pixel is enough to find the colours. */
function sampled(data) {
  const some = Buffer.alloc(Math.ceil(data.length / 64) * 4);
  for (let from = 0, to = 0; from < data.length; from += 64, to += 4) data.copy(some, to, from, from + 4);
  return some;
}
