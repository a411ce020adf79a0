/**
 * How many passwords this core checks in a second if it does nothing else: the limit that sign-ins
 * are measured against. `bun bench/bare-hashing.ts HASH PASSWORD SECONDS` prints the rate.
 */
import { verifySync } from '@node-rs/argon2'
import { pinned } from './machine.ts'

/** Measured on `core` with a hash as the server makes them; their parameters are in it. */
export async function measureBareHashing(
  core: number | undefined,
  { hash, password, seconds }: { hash: string; password: string; seconds: number },
): Promise<number> {
  const command = [process.execPath, import.meta.path, hash, password, String(seconds)]
  const child = Bun.spawn({ cmd: pinned(core, command), stdout: 'pipe', stderr: 'inherit' })
  const rate = Number(await new Response(child.stdout).text())
  if (!(rate > 0)) throw new Error('The passwords of the bare loop could not be checked.')
  return rate
}

function run(hash: string, password: string, seconds: number): number {
  const startedAt = performance.now()
  const deadline = startedAt + seconds * 1_000
  let count = 0
  while (performance.now() < deadline) {
    if (!verifySync(hash, password)) throw new Error('The password does not fit its hash.')
    count += 1
  }
  return (count / (performance.now() - startedAt)) * 1_000
}

if (import.meta.main) {
  const [hash = '', password = '', seconds = ''] = process.argv.slice(2)
  console.log(run(hash, password, Number(seconds)))
}
