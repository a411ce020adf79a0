/** The load generator as bench sees it: a process on a core of its own that does one job. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'bun'
import type { Line, Progress } from './generator/job.ts'
import { pinned } from './machine.ts'

/** What the generator tells while it works; `pid` is its own. */
export interface GeneratorEvents {
  mark?(name: string, pid: number): void
  progress?(progress: Progress, pid: number): void
}

export interface GeneratorOptions extends GeneratorEvents {
  core: number | undefined
  /** Where Bun is to leave a CPU profile, on request. */
  profileFolder?: string | undefined
}

/** Does a job to its end and returns its result. Rejects with what went wrong if there is none. */
export async function generate<Result>(
  job: { kind: string },
  { core, profileFolder, mark, progress }: GeneratorOptions,
): Promise<Result> {
  if (process.platform !== 'linux')
    throw new Error('The load generator makes system calls of Linux: run the benchmark there.')
  const folder = mkdtempSync(join(tmpdir(), 'parley-generator-'))
  const path = join(folder, 'job.json')
  writeFileSync(path, JSON.stringify(job))
  const profile = profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : []
  const child = spawn({
    cmd: pinned(core, [process.execPath, ...profile, `${import.meta.dir}/generator/main.ts`, path]),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const abandon = () => child.kill('SIGKILL')
  process.once('exit', abandon)
  try {
    const errors = new Response(child.stderr).text()
    let last: Line | undefined
    for await (const line of linesOf(child.stdout)) {
      last = JSON.parse(line) as Line
      if ('mark' in last) mark?.(last.mark, child.pid)
      if ('progress' in last) progress?.(last.progress, child.pid)
    }
    const code = await child.exited
    if (last === undefined || !('result' in last))
      throw new Error(`The load generator ended with ${code}: ${(await errors).trim()}`)
    return last.result as Result
  } finally {
    abandon()
    process.removeListener('exit', abandon)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    yield* lines
  }
}
