/** The body of a passthrough request, in Kombo's form. */
import {
  PASSTHROUGH_METHODS,
  type PassthroughFile,
  type PassthroughMethod,
  type PassthroughPart,
  type PassthroughRequest,
} from '@tidemark/connector'
import { inputInvalid } from '../errors.ts'
import { unknownParameter } from '../parameters.ts'

type Fields = Readonly<Record<string, unknown>>

const KEYS = [
  ...['method', 'path', 'headers', 'params', 'data', 'response_as_base64', 'multipart_form_data', 'api_options'],
]
const FILE_KEYS = ['name', 'content_type', 'data', 'data_url']

/** Reads the body. Throws 400 naming what is wrong; never repeats a value, which may be a secret. */
export function readPassthroughBody(body: unknown): PassthroughRequest {
  if (!isObject(body)) throw inputInvalid('The body must be an object with method and path.')
  refuseOtherKeys('the body', body, KEYS)
  const { method, path, data, response_as_base64: asBase64 = false, multipart_form_data } = body
  const form = multipart_form_data ?? undefined
  if (!PASSTHROUGH_METHODS.some((each) => each === method))
    throw inputInvalid(`method: expected one of ${PASSTHROUGH_METHODS.join(', ')}.`)
  if (typeof path !== 'string') throw inputInvalid('path: expected a text, such as /employees/17.')
  if (typeof asBase64 !== 'boolean') throw inputInvalid('response_as_base64: expected true or false.')
  if (form !== undefined && data !== undefined && data !== null)
    throw inputInvalid('Give data or multipart_form_data, not both.')
  return {
    method: method as PassthroughMethod,
    path,
    headers: texts(body, 'headers'),
    params: texts(body, 'params'),
    ...(data === undefined ? {} : { data }),
    ...(form === undefined ? {} : { parts: readForm(form) }),
    responseAsBase64: asBase64,
    apiOptions: texts(body, 'api_options'),
  }
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is misspelled would change nothing and go unnoticed. */
function refuseOtherKeys(where: string, value: Fields, known: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw inputInvalid(`In ${where}: ${unknownParameter(unknown, known)}`)
}

function texts(body: Fields, key: string): Record<string, string> {
  const value = body[key]
  if (value === undefined || value === null) return {}
  if (isObject(value) && Object.values(value).every((each) => typeof each === 'string'))
    return { ...value } as Record<string, string>
  throw inputInvalid(`${key}: expected an object whose values are texts.`)
}

function readForm(value: unknown): PassthroughPart[] {
  if (!Array.isArray(value) || value.length === 0)
    throw inputInvalid('multipart_form_data: expected a list of {name, value}.')
  return value.map((part: unknown, index) => readPart(part, `multipart_form_data[${index}]`))
}

function readPart(part: unknown, where: string): PassthroughPart {
  if (!isObject(part)) throw inputInvalid(`${where}: expected {name, value}.`)
  refuseOtherKeys(where, part, ['name', 'value'])
  const { name, value } = part
  if (typeof name !== 'string') throw inputInvalid(`${where}.name: expected a text.`)
  if (typeof value === 'string') return { name, value }
  if (isObject(value)) return { name, value: readFile(value, `${where}.value`) }
  throw inputInvalid(`${where}.value: expected a text or a file {name, content_type, data}.`)
}

function readFile(file: Fields, where: string): PassthroughFile {
  refuseOtherKeys(where, file, FILE_KEYS)
  const text = (key: string): string | undefined => {
    const value = file[key]
    if (value === undefined || value === null) return undefined
    if (typeof value === 'string') return value
    throw inputInvalid(`${where}.${key}: expected a text.`)
  }
  const [name, contentType, data, dataUrl] = FILE_KEYS.map(text)
  if (name === undefined) throw inputInvalid(`${where}.name: expected the name of the file.`)
  if ((data === undefined) === (dataUrl === undefined))
    throw inputInvalid(`${where}: expected data (base64) or data_url, one of them.`)
  if (data !== undefined && contentType === undefined)
    throw inputInvalid(`${where}.content_type: expected the type of the file, such as application/pdf.`)
  return {
    name,
    ...(contentType === undefined ? {} : { contentType }),
    ...(data === undefined ? {} : { data }),
    ...(dataUrl === undefined ? {} : { dataUrl }),
  }
}
