import { seededRandom } from '@tidemark/base'
import { CITIES, EMPLOYERS, FIRST_NAMES, JOB_TITLES, LAST_NAMES, SOURCES } from './names.ts'
import type { CandidateFields, Links, Location, Rec } from './types.ts'

/** A location of Kombo's shape from one of the known cities. */
export function locationOf(city: (typeof CITIES)[number]): Location {
  return {
    city: city.city,
    country: city.country,
    raw: `${city.city}, ${city.country}`,
    state: city.state,
    street_1: city.street,
    street_2: null,
    zip_code: city.zip,
  }
}

/** Lower-case ASCII of a name, for addresses and user names. */
export function slug(text: string): string {
  const ascii = text
    .replace(/ł/gi, 'l')
    .replace(/ø/gi, 'o')
    .normalize('NFD')
    .replace(/[^\x20-\x7e]/g, '')
  return ascii.toLowerCase().replace(/[^a-z0-9]+/g, '-') || 'x'
}

/** Names with their slugs, because a profile is computed each time that it is read. */
const FIRST = FIRST_NAMES.map((name) => ({ name, slug: slug(name) }))
const LAST = LAST_NAMES.map((name) => ({ name, slug: slug(name) }))

/** The unedited profile of a candidate: the same for the same seed and number. */
export function candidateProfile(seed: number, number: number, host: string): CandidateFields {
  const random = seededRandom((seed ^ Math.imul(number, 0x9e3779b1)) >>> 0)
  const first = random.pick(FIRST)
  const last = random.pick(LAST)
  const handle = `${first.slug}.${last.slug}.${number}`
  const mails = [{ email_address: `${handle}@example.com`, type: 'PRIVATE' }]
  if (random.chance(0.15)) mails.push({ email_address: `${handle}@work.example.org`, type: 'WORK' })
  return {
    first_name: first.name,
    last_name: last.name,
    company: random.chance(0.7) ? random.pick(EMPLOYERS) : null,
    title: random.chance(0.7) ? random.pick(JOB_TITLES) : null,
    confidential: random.chance(0.1),
    source: random.pick(SOURCES),
    phone_numbers: random.chance(0.6) ? [{ phone_number: `+49 30 ${1_000_000 + number}`, type: 'HOME' }] : [],
    email_addresses: mails,
    social_media: random.chance(0.3)
      ? [{ link: `https://www.linkedin.com/in/${handle}`, type: 'LINKEDIN', username: handle }]
      : [],
    location: random.chance(0.6) ? locationOf(random.pick(CITIES)) : null,
    custom_fields: random.chance(0.2) ? { notice_period: `${1 + random.int(6)} months` } : {},
    remote_url: `https://${host}/people/${number}`,
  }
}

/** What a profile is computed from; one object per company. */
export interface ProfileSource {
  readonly seed: number
  readonly host: string
}

/** A candidate that nobody has edited: its profile is computed when it is read, so that 200,000 of them cost little memory. */
export class UneditedCandidate implements Rec<'candidates'> {
  readonly id: string
  readonly number: number
  readonly links: Links
  readonly createdMs: number
  readonly #source: ProfileSource

  constructor(source: ProfileSource, id: string, number: number, links: Links, createdMs: number) {
    this.#source = source
    this.id = id
    this.number = number
    this.links = links
    this.createdMs = createdMs
  }

  get remoteId(): string {
    return String(this.number)
  }

  get updatedMs(): number {
    return this.createdMs
  }

  get fields(): CandidateFields {
    return candidateProfile(this.#source.seed, this.number, this.#source.host)
  }

  /** The same candidate with other links. */
  withLinks(links: Links): UneditedCandidate {
    return new UneditedCandidate(this.#source, this.id, this.number, links, this.createdMs)
  }
}
