/** The public list of published job posts: the only place where TRAFFIT shows what a job's advert says, and where the job is. */
import { isJson, type Json } from '@tidemark/connector/mapping'
import { idOf, jsonIn, refId, textOf } from './json.ts'

/** Published posts by the id of their job. */
export interface Published {
  readonly byJob: ReadonlyMap<string, readonly Json[]>
  /** Rows that name no job, so that it is not known whose lists they belong to. */
  readonly unread: readonly unknown[]
  /** When the first of the requests for it was sent: what is built from it is not newer. */
  readonly requestedAtMs: number
}

/** Groups rows of `/public/job_posts/published` by job, each job's by ascending id. */
export function readPublished(rows: readonly unknown[], requestedAtMs: number): Published {
  const byJob = new Map<string, Json[]>()
  const unread: unknown[] = []
  for (const row of rows) {
    const jobId = isJson(row) && isJson(row['advert']) ? refId(row['advert']['recruitment']) : null
    if (!isJson(row) || jobId === null) unread.push(row)
    else byJob.set(jobId, [...(byJob.get(jobId) ?? []), row])
  }
  const order = (row: Json): number => Number(idOf(row['id']) ?? Number.MAX_SAFE_INTEGER)
  for (const posts of byJob.values()) posts.sort((a, b) => order(a) - order(b))
  return { byJob, unread, requestedAtMs }
}

/** A value of a post's advert by the name of its field. */
export function advertValue(post: Json, fieldId: string): unknown {
  const values = isJson(post['advert']) ? post['advert']['values'] : undefined
  if (!Array.isArray(values)) return undefined
  return values.find((entry) => isJson(entry) && entry['field_id'] === fieldId)?.value
}

/** Of several posts of a job, the first one speaks for it (a choice, so that it is always the same). */
export const descriptionOf = (posts: readonly Json[]): string | null => {
  const [post] = posts
  return post === undefined ? null : textOf(advertValue(post, 'description'))
}

export interface NativeLocation {
  readonly city: string | null
  readonly country: string | null
  readonly state: string | null
  readonly zip_code: string | null
  readonly raw: string | null
}

/** Where a job is, as its first post says: a place is JSON within a text; other text is kept as it is. */
export function locationOf(posts: readonly Json[]): NativeLocation | null {
  const [post] = posts
  if (post === undefined) return null
  const options = isJson(post['options']) ? post['options'] : {}
  return placeOf(advertValue(post, 'geolocation')) ?? placeOf(options['job_location'])
}

function placeOf(value: unknown): NativeLocation | null {
  const place = isJson(value) ? value : jsonIn(value)
  if (!isJson(place)) {
    const raw = textOf(value)
    return raw === null ? null : { city: null, country: null, state: null, zip_code: null, raw }
  }
  const text = (name: string): string | null => textOf(place[name])
  const parts = [text('locality'), text('region1'), text('postcode'), text('country')]
  const raw = [...new Set(parts.filter((part) => part !== null))].join(', ')
  return {
    city: text('locality'),
    country: text('iso')?.toUpperCase() ?? text('country'),
    state: text('region1'),
    zip_code: text('postcode'),
    raw: raw === '' ? null : raw,
  }
}
