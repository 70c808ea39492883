import { LIMITS } from '@tidemark/base'

/** Remembers the newest event ids of each source; the oldest are forgotten first. */
export class Deduper {
  readonly #bySource = new Map<string, Set<string>>()
  readonly #idsMax: number

  constructor(idsMax: number = LIMITS.dedupeIdsMax) {
    this.#idsMax = idsMax
  }

  /** True when the event was remembered and not yet forgotten. Events without an id are never known. */
  isKnown(source: string, eventName: string, eventId: string | null): boolean {
    return eventId !== null && (this.#bySource.get(source)?.has(idOf(eventName, eventId)) ?? false)
  }

  /** Remembers an event; to be called once its effects are taken on. */
  remember(source: string, eventName: string, eventId: string | null): void {
    if (eventId === null) return
    const ids = this.#idsOf(source)
    const id = idOf(eventName, eventId)
    ids.delete(id)
    ids.add(id)
    if (ids.size > this.#idsMax) ids.delete(ids.values().next().value as string)
  }

  #idsOf(source: string): Set<string> {
    const known = this.#bySource.get(source)
    if (known) return known
    const ids = new Set<string>()
    this.#bySource.set(source, ids)
    return ids
  }
}

/** The name is part of it: providers number the events of each type on their own. */
const idOf = (eventName: string, eventId: string): string => `${eventName} ${eventId}`
