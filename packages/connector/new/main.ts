/** `npm run new-connector <name>`: makes packages/connectors/<name>, whose contract suite fails with the list of what is left to write. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isConnectorName, writeConnector } from './files.ts'

const [name = ''] = process.argv.slice(2)
const folder = join(import.meta.dirname, '../../connectors', name)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

if (!isConnectorName(name)) {
  say('usage: npm run new-connector <name>   the name: a-z and 0-9, beginning with a letter')
  process.exit(2)
}
if (existsSync(folder)) {
  say(`packages/connectors/${name} is there already; nothing was written. Delete it to begin again.`)
  process.exit(1)
}
writeConnector(folder, name)
say(`packages/connectors/${name} is there. Next:
  npm install                                    makes it a package of the workspace
  npx vitest run packages/connectors/${name}     says what is left to write
  docs/write-a-connector.md                      says how`)
