/** What every scenario is given. */
import type { Cores } from '../machine.ts'

export interface ScenarioOptions {
  quick: boolean
  cores: Cores | undefined
  /** Of what is going on, for the progress line. */
  say(text: string): void
  profileFolder?: string | undefined
}
