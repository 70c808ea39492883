import { createHash } from 'node:crypto'
import { base58, seededRandom } from '@tidemark/base'

const FIRST = [
  'Frodo',
  'Samwise',
  'Meriadoc',
  'Peregrin',
  'Éowyn',
  'Faramir',
  'Galadriel',
  'Celeborn',
  'Arwen',
  'Thorin',
]
const LAST = [
  'Baggins',
  'Gamgee',
  'Brandybuck',
  'Took',
  'of Rohan',
  'of Ithilien',
  'Undómiel',
  'Oakenshield',
  'Proudfoot',
  'Cotton',
]
const TITLES = ['Backend Engineer', 'Gardener', 'Recruiter', 'Accountant', 'Ring Bearer', 'Site Reliability Engineer']

/** A candidate as a provider would deliver it: about 500 bytes of JSON. The same number gives the same person; `edit` changes one field. */
export function candidateInput(n: number, edit = 0): Record<string, unknown> {
  const random = seededRandom(n + 1)
  const first = random.pick(FIRST)
  const last = random.pick(LAST)
  return {
    remote_id: String(100_000 + n),
    first_name: first,
    last_name: last,
    company: random.chance(0.7) ? `${last} & Sons` : null,
    title: edit === 0 ? random.pick(TITLES) : `${random.pick(TITLES)} ${edit}`,
    confidential: false,
    source: random.pick(['Careers page', 'Employee Referral', 'LinkedIn']),
    email_addresses: [{ email_address: `candidate.${n}@example.com`, type: 'PRIVATE' }],
    phone_numbers: [{ phone_number: `+49 30 ${1_000_000 + n}`, type: 'HOME' }],
    social_media: [],
    location: {
      city: random.pick(['Hobbiton', 'Bree', 'Minas Tirith']),
      country: 'DE',
      raw: null,
      state: null,
      street_1: null,
      street_2: null,
      zip_code: String(10_000 + (n % 80_000)),
    },
    custom_fields: { salary_expectation: 50_000 + (n % 40) * 1_000 },
    integration_fields: [],
    remote_url: `https://ats.example.com/candidates/${n}`,
    remote_created_at: 1_760_000_000_000 + n * 1_000,
    remote_updated_at: 1_760_000_000_000 + n * 1_000,
    remote_deleted_at: null,
    remote_data: null,
  }
}

/** Ids as providers give them: in no order that has to do with the order of a listing, so state is read and written scattered. */
export function candidateId(n: number): string {
  return base58(createHash('sha256').update(`candidate ${n}`).digest(), 24)
}
