/**
 * `npm run audit`: asks the registry which of the locked packages have known weaknesses. Some
 * registries and mirrors do not answer that question, and a check that cannot be made must not pass
 * for one that was: exit code 2. With `--if-answered`, as a part of `npm run check`, it is said
 * aloud, and the other checks go on.
 */

/** What `npm audit --json` prints; without `metadata` it could not ask. */
export interface AuditReport {
  message?: string
  vulnerabilities?: Record<string, { severity: string; range: string }>
  metadata?: { vulnerabilities: { total: number } }
}

export interface Verdict {
  /** 0: nothing is known. 1: something is. 2: nobody answered, so nothing was found out. */
  exitCode: 0 | 1 | 2
  sentence: string
}

export function verdictOf({ message, vulnerabilities = {}, metadata }: AuditReport): Verdict {
  if (metadata === undefined) {
    const why = message ?? 'it gave no report'
    const sentence = `Not audited: the registry does not answer (${why}). Ask another one.`
    return { exitCode: 2, sentence }
  }
  if (metadata.vulnerabilities.total === 0)
    return { exitCode: 0, sentence: 'No known weakness in any locked package.' }
  const lines = Object.entries(vulnerabilities).map(
    ([name, { severity, range }]) => `${severity}: ${name} ${range}`,
  )
  return { exitCode: 1, sentence: ['Known weaknesses:', ...lines].join('\n') }
}

function readReport(printed: string): AuditReport {
  try {
    return JSON.parse(printed) as AuditReport
  } catch {
    return {}
  }
}

if (import.meta.main) {
  const { stdout } = Bun.spawnSync(['npm', 'audit', '--json'])
  const { exitCode, sentence } = verdictOf(readReport(String(stdout)))
  console.log(sentence)
  const isTolerated = exitCode === 2 && process.argv.includes('--if-answered')
  process.exit(isTolerated ? 0 : exitCode)
}
