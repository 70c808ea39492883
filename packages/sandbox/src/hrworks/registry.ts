import type { WriteResult } from './jobQueue.ts'

/** A registered webhook: one resource and one action. */
export interface Registered {
  readonly id: number
  readonly name: string
  readonly url: string
  readonly resource: string
  readonly action: string
  readonly accessKey: string
  readonly isActive: boolean
  readonly remark: string | null
}

const WEBHOOKS_MAX = 100
const RESOURCES = ['person', 'applicant', 'absence', 'sickLeave', 'remoteWork']
const ACTIONS = ['resourceCreated', 'resourceUpdated', 'resourceDeleted', 'resourceDeactivated']

/** The webhooks of a tenant. What is wrong with a row is a RangeError, and then none of its rows is written. */
export class Registry {
  readonly #accessKey: string
  readonly #webhooks = new Map<number, Registered>()
  #next = 1

  constructor(accessKey: string) {
    this.#accessKey = accessKey
  }

  list(filter: { readonly onlyActive: boolean; readonly resource?: string; readonly action?: string }): Registered[] {
    return [...this.#webhooks.values()].filter(
      (each) =>
        (each.isActive || !filter.onlyActive) &&
        (filter.resource === undefined || each.resource === filter.resource) &&
        (filter.action === undefined || each.action === filter.action),
    )
  }

  create(rows: readonly Readonly<Record<string, unknown>>[]): readonly WriteResult[] {
    if (this.#webhooks.size + rows.length > WEBHOOKS_MAX)
      throw new RangeError(`there are ${WEBHOOKS_MAX} webhooks already`)
    const checked = rows.map((row) => this.#check(row))
    return checked.map((row, recordId) => this.#put(recordId, { ...row, id: this.#next++ }))
  }

  edit(rows: readonly Readonly<Record<string, unknown>>[]): readonly WriteResult[] {
    const checked = rows.map((row) => {
      const before = this.#webhooks.get(Number(row['id']))
      if (before === undefined) throw new RangeError(`there is no webhook ${String(row['id'])}`)
      return { ...this.#check({ ...before, ...row }), id: before.id }
    })
    return checked.map((row, recordId) => this.#put(recordId, row))
  }

  remove(ids: readonly number[]): readonly WriteResult[] {
    const unknown = ids.find((id) => !this.#webhooks.has(id))
    if (unknown !== undefined) throw new RangeError(`there is no webhook ${unknown}`)
    for (const id of ids) this.#webhooks.delete(id)
    return []
  }

  #put(recordId: number, row: Registered): WriteResult {
    this.#webhooks.set(row.id, row)
    return { recordId, resourceLocation: `https://api.hrworks.de/v2/webhooks/${row.id}`, data: { id: row.id } }
  }

  #check(row: Readonly<Record<string, unknown>>): Omit<Registered, 'id'> {
    const text = (name: string): string => (typeof row[name] === 'string' ? (row[name] as string) : '')
    const url = URL.parse(text('url'))
    if (url === null || !url.protocol.startsWith('http')) throw new RangeError('url is no http or https URL')
    if (!RESOURCES.includes(text('resource'))) throw new RangeError(`resource is none of ${RESOURCES.join(', ')}`)
    if (!ACTIONS.includes(text('action'))) throw new RangeError(`action is none of ${ACTIONS.join(', ')}`)
    if (text('accessKey') !== this.#accessKey) throw new RangeError('accessKey is not known')
    return {
      ...{ name: text('name'), url: text('url'), resource: text('resource'), action: text('action') },
      ...{ accessKey: text('accessKey'), isActive: row['isActive'] !== false, remark: text('remark') || null },
    }
  }
}
