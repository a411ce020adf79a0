/**
 * argon2id, by either of two that read and write the same hashes: a native package, or the
 * runtime's own, which takes three times as long. The package needs libgcc, which a small machine
 * may lack; inside an executable it also needs a `/tmp` from which programs may be run.
 */
import { argon2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

export interface Hasher {
  isNative: boolean
  /** A self-describing hash with a salt of its own. */
  hash(password: string): string
  /** Throws if `passwordHash` is not a hash of argon2id. */
  verify(passwordHash: string, password: string): boolean
}

/** As OWASP advises; memory in KiB. */
const COST = { memory: 19_456, passes: 2, parallelism: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32

/** The native one, or the runtime's where that cannot be loaded. */
export async function loadHasher(): Promise<Hasher> {
  return (await loadNative()) ?? runtimeHasher
}

export async function loadNative(): Promise<Hasher | undefined> {
  try {
    const { hashSync, verifySync } = await import('@node-rs/argon2')
    const { memory, passes, parallelism } = COST
    // 2 is argon2id; the package's own constant is a const enum that erases badly.
    const options = { algorithm: 2, memoryCost: memory, timeCost: passes, parallelism }
    return {
      isNative: true,
      hash: (password) => hashSync(password, options),
      verify: (passwordHash, password) => verifySync(passwordHash, password),
    }
  } catch {
    return undefined
  }
}

/** `$argon2id$v=19$m=19456,t=2,p=1$` salt `$` hash, both in base64 without padding. */
const FORM = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

export const runtimeHasher: Hasher = {
  isNative: false,
  hash(password) {
    const nonce = randomBytes(SALT_BYTES)
    const made = argon2Sync('argon2id', {
      ...COST,
      message: password,
      nonce,
      tagLength: HASH_BYTES,
    })
    const { memory, passes, parallelism } = COST
    const cost = `m=${memory},t=${passes},p=${parallelism}`
    return `$argon2id$v=19$${cost}$${unpadded(nonce)}$${unpadded(made)}`
  },
  verify(passwordHash, password) {
    const [, memory, passes, parallelism, salt, hash] = FORM.exec(passwordHash) ?? []
    if (hash === undefined) throw new Error('not a hash of argon2id')
    const wanted = Buffer.from(hash, 'base64')
    const made = argon2Sync('argon2id', {
      message: password,
      nonce: Buffer.from(salt!, 'base64'),
      memory: Number(memory),
      passes: Number(passes),
      parallelism: Number(parallelism),
      tagLength: wanted.length,
    })
    return timingSafeEqual(made, wanted)
  },
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}
