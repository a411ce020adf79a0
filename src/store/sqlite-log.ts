/**
 * SQLite's log, as it is found at a start, before SQLite itself looks at it. SQLite takes what it
 * can read of a damaged log for all there is, and says nothing: commits that people were told of
 * would be gone, and their seqs given out again. Two things bear witness of them.
 *
 * 1. *The log.* Each commit is synced before the next is written, so a crash spoils one at the
 *    most. If two stand behind the first frame that cannot be read, one of them had been synced.
 * 2. *The index* beside it, which SQLite maps into memory. It counts the frames that are committed,
 *    after they were synced, so it is never ahead of the disk. After a crash of the process it is
 *    exact; after one of the machine it may be old, and then says less than it could, never more.
 *
 * The formats are those of sqlite.org/fileformat2.html#walformat and sqlite.org/walformat.html.
 */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/** The lowest bit says whether checksums are made of big-endian words. */
const MAGIC = 0x377f0682
const SALT_BYTES = 8

interface Log {
  /** Hexadecimal; undefined if the log is not there, or its header cannot be read. */
  salt: string | undefined
  /** Frames up to the last commit that SQLite will find. */
  frames: number
  /** Commits that stand behind the first frame that cannot be read. */
  commitsBehind: number
  /** There is something, and no header to read it by. */
  headless: boolean
}

/** What of the log at `path` is known to be lost, in words; undefined if nothing is. */
export function findLoss(path: string): string | undefined {
  const log = readLog(`${path}-wal`)
  if (log.headless) return 'the header of its log is damaged'
  if (log.commitsBehind > 1) return `its log is damaged after ${log.frames} frames`
  const index = readIndex(`${path}-shm`)
  if (index === undefined || (log.salt !== undefined && log.salt !== index.salt)) return undefined
  if (Math.max(log.frames, index.copied) >= index.frames) return undefined
  return `its log holds ${log.frames} frames of ${index.frames}`
}

function readLog(path: string): Log {
  const log: Log = { salt: undefined, frames: 0, commitsBehind: 0, headless: false }
  if (!existsSync(path)) return log
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    const length = readSync(file, header, 0, HEADER_BYTES, 0)
    if (length === HEADER_BYTES && isHeader(header)) readFrames(file, header, log)
    else log.headless = fstatSync(file).size > HEADER_BYTES
  } finally {
    closeSync(file)
  }
  return log
}

function isHeader(header: Buffer): boolean {
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== MAGIC) return false
  return isSum(checksum(header.subarray(0, 24), isBig(header), [0, 0]), header, 24)
}

const isBig = (header: Buffer) => (header[3]! & 1) === 1

function readFrames(file: number, header: Buffer, log: Log): void {
  const salt = header.subarray(16, 16 + SALT_BYTES)
  log.salt = salt.toString('hex')
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + header.readUInt32BE(8))
  let sum: Sum = [header.readUInt32BE(24), header.readUInt32BE(28)]
  let isWhole = true
  for (let number = 1, at = HEADER_BYTES; ; number++, at += frame.length) {
    if (readSync(file, frame, 0, frame.length, at) < frame.length) return
    // Frames of an earlier round of the log have another salt.
    if (!frame.subarray(8, 8 + SALT_BYTES).equals(salt)) isWhole = false
    else {
      const isCommit = frame.readUInt32BE(4) !== 0
      if (isWhole) {
        sum = checksum(frame.subarray(0, 8), isBig(header), sum)
        sum = checksum(frame.subarray(FRAME_HEADER_BYTES), isBig(header), sum)
        isWhole = isSum(sum, frame, 16)
      }
      if (isCommit && isWhole) log.frames = number
      else if (isCommit) log.commitsBehind += 1
    }
  }
}

type Sum = [number, number]

const isSum = ([one, other]: Sum, bytes: Buffer, at: number) =>
  bytes.readUInt32BE(at) === one && bytes.readUInt32BE(at + 4) === other

function checksum(bytes: Buffer, big: boolean, [one, other]: Sum): Sum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; at += 8) {
    one = (one + view.getUint32(at, !big) + other) >>> 0
    other = (other + view.getUint32(at + 4, !big) + one) >>> 0
  }
  return [one, other]
}

/** In the machine's own order, which is little-endian wherever this runs. Undefined if unsure. */
function readIndex(path: string) {
  if (!existsSync(path)) return undefined
  const bytes = readFileSync(path).subarray(0, 136)
  if (bytes.length < 136 || !bytes.subarray(0, 48).equals(bytes.subarray(48, 96))) return undefined
  const [one, other] = checksum(bytes.subarray(0, 40), false, [0, 0])
  if (bytes.readUInt32LE(40) !== one || bytes.readUInt32LE(44) !== other) return undefined
  return {
    salt: bytes.subarray(32, 32 + SALT_BYTES).toString('hex'),
    frames: bytes.readUInt32LE(16),
    /** So many of them are in the database, too. */
    copied: bytes.readUInt32LE(96),
  }
}
