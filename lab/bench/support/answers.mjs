const HEAD_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** Splits the bytes of a connection into HTTP/1.1 answers: as much of the protocol as our server or a peer uses. */
export class Answers {
  #rest = null;
  #onAnswer;

  /** @param {(status: number, text: () => string) => void} onAnswer `text` returns the body on demand */
  constructor(onAnswer) {
    this.#onAnswer = onAnswer;
  }

  take(chunk) {
    let bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    while (bytes.length > 0) {
      const headEnd = bytes.indexOf(HEAD_END);
      const end = headEnd < 0 ? -1 : endOf(bytes, headEnd);
      if (end < 0) break;
      const answer = bytes;
      bytes = bytes.subarray(end);
      this.#rest = null;
      const status = (answer[9] - 48) * 100 + (answer[10] - 48) * 10 + answer[11] - 48;
      this.#onAnswer(status, () => answer.toString('utf8', headEnd + 4, end));
    }
    this.#rest = bytes.length > 0 ? bytes : null;
  }
}

/** The end of the answer; -1 when more is to come. */
function endOf(bytes, headEnd) {
  const head = bytes.latin1Slice(0, headEnd);
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
  if (length !== undefined) {
    const end = headEnd + 4 + Number(length);
    return end <= bytes.length ? end : -1;
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return headEnd + 4;
  const last = bytes.indexOf(LAST_CHUNK, headEnd + 4);
  return last < 0 ? -1 : last + LAST_CHUNK.length;
}
