/** Documents that describe the API, as something to hold real answers against. */
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js'

// biome-ignore lint/suspicious/noExplicitAny: a document of any shape
export type Json = any

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A fetched document whose schemas, with all they refer to, can be validated against. */
export class Document {
  readonly json: Json
  readonly #ajv: Ajv2020
  readonly #compiled = new Map<string, ValidateFunction>()

  private constructor(json: Json) {
    this.json = json
    // Not strict: the document around the schemas has fields that are no keywords of JSON Schema.
    this.#ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'date-time': TIME } })
    this.#ajv.addSchema(json, 'document')
  }

  static async fetch(url: string): Promise<Document> {
    const response = await fetch(url)
    if (response.status !== 200) throw new Error(`${response.status} from ${url}`)
    return new Document(await response.json())
  }

  /** What is wrong with the value, by the schema at this path of the document; empty if nothing. */
  faults(path: string[], value: unknown): string[] {
    const pointer = path.map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1'))
    const ref = `document#/${pointer.map(encodeURIComponent).join('/')}`
    let validate = this.#compiled.get(ref)
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: ref })
      this.#compiled.set(ref, validate)
    }
    if (validate(value)) return []
    return validate.errors!.map((error) => `${ref}: ${error.instancePath} ${error.message}`)
  }

  /** Every `$ref` in the document that leads nowhere in it. */
  danglingReferences(): string[] {
    const dangling: string[] = []
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      const { $ref } = value as { $ref?: unknown }
      if (typeof $ref === 'string' && this.#at($ref) === undefined) dangling.push($ref)
      for (const inner of Object.values(value)) visit(inner)
    }
    visit(this.json)
    return dangling
  }

  #at(ref: string): unknown {
    const steps = ref.replace(/^#\//, '').split('/')
    const names = steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    return names.reduce<Json>((at, name) => at?.[name], this.json)
  }
}
