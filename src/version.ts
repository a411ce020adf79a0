/** The version in package.json, for documents. */
import manifest from '../package.json' with { type: 'json' }

export const version: string = manifest.version
