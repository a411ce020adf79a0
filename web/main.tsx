import { render } from 'preact'
import { Parley } from '../client'
import { App } from './app.tsx'
import { restoreTheme } from './theme.ts'

restoreTheme()
render(<App client={new Parley({ storage: localStorage })} />, document.getElementById('app')!)
