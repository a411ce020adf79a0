/**
 * What one deploys with says what is true of Parley, as far as a machine without containers can
 * tell: the files parse, settings and paths exist, ports and users agree.
 */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { which, YAML } from 'bun'
import { settings, variableName } from '../src/config.ts'
import { ServerProcess, scratchFolder } from './harness.ts'

const ROOT = join(import.meta.dir, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const known = Object.keys(settings).map(variableName)

interface Service {
  environment?: Record<string, string>
  healthcheck?: unknown
}

interface Compose {
  services: Record<string, Service>
}

interface Container {
  env: { name: string }[]
  ports: { containerPort: number }[]
  readinessProbe: { httpGet: { path: string } }
  livenessProbe: { httpGet: { path: string } }
}

interface Manifest {
  kind: string
  metadata: { name: string }
  spec: { template: { spec: { securityContext: { runAsUser: number }; containers: Container[] } } }
}

const compose = YAML.parse(read('compose.yaml')) as Compose
const manifests = YAML.parse(read('deploy/kubernetes.yaml')) as Manifest[]
const pod = manifests.find(({ kind }) => kind === 'Deployment')!.spec.template.spec

test('compose starts two nodes that are the same, on one database and one bus', () => {
  const { parley1, parley2, database, bus, balancer } = compose.services
  expect(parley2).toEqual(parley1!)
  expect([database, bus, balancer].every((service) => service !== undefined)).toBe(true)
  for (const name of Object.keys(parley1?.environment ?? {})) expect(known).toContain(name)
  expect(parley1?.environment?.DATABASE_URL).toContain('@database/')
  expect(parley1?.environment?.NATS_URL).toBe('nats://bus:4222')
})

test('every setting that a manifest, the unit or the image gives exists', () => {
  const [container] = pod.containers
  for (const { name } of container!.env) expect(known).toContain(name)
  const unit = read('deploy/parley.service')
  for (const [, name] of unit.matchAll(/^Environment=(\w+)=/gm)) expect(known).toContain(name!)
  const image = /^ENV (.*)$/m.exec(read('Dockerfile'))![1]!
  for (const pair of image.split(' ')) expect(known).toContain(pair.split('=')[0]!)
})

test('image, probes and user agree', async () => {
  const [container] = pod.containers
  const image = read('Dockerfile')
  expect(image).toContain(`EXPOSE ${container!.ports[0]!.containerPort}`)
  expect(image).toContain(`--uid ${pod.securityContext.runAsUser} `)
  const server = await ServerProcess.start()
  try {
    for (const { httpGet } of [container!.readinessProbe, container!.livenessProbe])
      expect((await fetch(server.url + httpGet.path)).status).toBe(200)
    const asked = Bun.spawnSync([...ServerProcess.command, 'ready', '--url', server.url])
    expect(asked.exitCode).toBe(0)
    await server.stop()
    const late = Bun.spawnSync([...ServerProcess.command, 'ready', '--url', server.url])
    expect([late.exitCode, String(late.stderr)]).toEqual([
      1,
      expect.stringContaining('does not answer'),
    ])
  } finally {
    await server.stopAndForget()
  }
})

/** Where the types of a kind stand, as Kubernetes' own description of its API has them. */
const TYPES: Record<string, string> = {
  Deployment: 'apps/v1',
  Service: 'core/v1',
  PodDisruptionBudget: 'policy/v1',
}

/** What the compiler says against these manifests, as values of those types. */
function faultsOf(all: unknown[]): string {
  const { path, remove } = scratchFolder()
  symlinkSync(join(ROOT, 'node_modules'), join(path, 'node_modules'))
  const lines = all.map((manifest, index) => {
    const { kind } = manifest as Manifest
    const type = `import('kubernetes-types/${TYPES[kind]}').${kind}`
    return `export const manifest${index}: ${type} = ${JSON.stringify(manifest)}\n`
  })
  writeFileSync(join(path, 'manifests.ts'), lines.join(''))
  const options = ['--noEmit', '--strict', '--module', 'preserve', '--types', '']
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const { stdout } = Bun.spawnSync([tsc, ...options, 'manifests.ts'], { cwd: path })
  remove()
  return String(stdout)
}

test('every field of the manifests is one that Kubernetes knows, and of its type', () => {
  expect(faultsOf(manifests)).toBe('')
  const misspelled = structuredClone(manifests)
  Object.assign(misspelled[0]!.spec.template.spec.containers[0]!, { readynessProbe: {} })
  expect(faultsOf(misspelled)).toMatch(/readynessProbe\W+does not exist/)
  const mistyped = structuredClone(manifests)
  Object.assign(mistyped[0]!.spec, { replicas: 'two' })
  expect(faultsOf(mistyped)).toContain("'string' is not assignable to type 'number'")
})

test('the image copies what is there, and what its build needs', () => {
  const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    ([, sources]) => sources!.split(' '),
  )
  expect(copied).toContain('package-lock.json')
  for (const name of copied) expect([name, existsSync(join(ROOT, name))]).toEqual([name, true])
  const ignored = read('.dockerignore').split('\n').filter(Boolean)
  for (const name of [...copied, 'src', 'web', 'scripts', 'client'])
    expect(ignored).not.toContain(name)
  // The stage that runs has the name under which the first one built the executable.
  const [, built] = /npm run build -- --outfile (\S+)/.exec(read('Dockerfile'))!
  expect(read('Dockerfile')).toContain(`COPY --from=build ${built} /usr/local/bin/parley`)
})

test.skipIf(which('systemd-analyze') === null)('systemd understands the unit', () => {
  const unit = join(ROOT, 'deploy/parley.service')
  const { stderr } = Bun.spawnSync(['systemd-analyze', 'verify', unit])
  const faults = String(stderr).split('\n')
  // The executable is not installed where tests run.
  expect(faults.filter((line) => line !== '' && !line.includes('is not executable'))).toEqual([])
})

test.skipIf(which('nginx') === null)('nginx understands its configuration', () => {
  const { path, remove } = scratchFolder()
  const file = join(path, 'nginx.conf')
  const local = read('deploy/nginx.conf').replaceAll(/parley[12]:8080/g, '127.0.0.1:8080')
  Bun.spawnSync(['sh', '-c', `cat > ${file}`], { stdin: new TextEncoder().encode(local) })
  const { exitCode, stderr } = Bun.spawnSync(['nginx', '-t', '-c', file, '-g', `pid ${path}/pid;`])
  remove()
  expect([exitCode, String(stderr)]).toEqual([0, expect.stringContaining('is successful')])
})
