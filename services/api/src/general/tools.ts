/** The ATSs behind the integrations, as Kombo describes tools. */

export interface Tool {
  /** The part of an integration's id before ":". */
  readonly id: string
  readonly label: string
}

/** Tools whose names are not their slugs with a capital letter: those that have a connector of their own. */
const LABELS: Readonly<Record<string, string>> = { traffit: 'TRAFFIT', hrworks: 'HR WORKS' }

/** Tools that are listed although no integration uses them yet. */
export const KNOWN_TOOLS: readonly Tool[] = Object.entries(LABELS).map(([id, label]) => ({ id, label }))

/** The tool of an integration id like `greenhouse:8d1hp…`. */
export function toolOf(integrationId: string): Tool {
  const [id = ''] = integrationId.split(':', 1)
  return { id, label: LABELS[id] ?? labelOf(id) }
}

/** A slug or model name as people read it: "application-stages" becomes "Application Stages". */
export function labelOf(slug: string): string {
  const words = slug.split(/[-_ ]+/).filter((word) => word !== '')
  return words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join(' ')
}

export interface ToolAssets {
  readonly logo_url: string
  readonly icon_url: string
  readonly icon_black_url: string
}

/**
 * Pictures of a tool, drawn from its name as `data:` URLs: Kombo's clients expect addresses, and this process has neither the makers'
 * logos nor a place on the web.
 */
export function assetsOf({ label }: Tool): ToolAssets {
  const [first = '?'] = label
  return {
    logo_url: svg(
      `<text x="4" y="22" font-family="sans-serif" font-size="20">${escaped(label)}</text>`,
      label.length * 13 + 8,
    ),
    icon_url: svg(iconOf(first, '#4a5568'), 32),
    icon_black_url: svg(iconOf(first, '#000000'), 32),
  }
}

function iconOf(letter: string, color: string): string {
  const text = `<text x="16" y="22" fill="#ffffff" font-family="sans-serif" font-size="18" text-anchor="middle">${escaped(letter)}</text>`
  return `<rect width="32" height="32" rx="6" fill="${color}"/>${text}`
}

function svg(content: string, width: number): string {
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} 32">${content}</svg>`
  return `data:image/svg+xml,${encodeURIComponent(picture)}`
}

/** As text of an SVG. Half of a surrogate pair, which no address can hold, is left out. */
const escaped = (text: string): string =>
  text.replace(/\p{Cs}/gu, '').replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`)
