// Uses the local OSS with the official client for Node.js, which shares no code with the one for Go. It reads
// {endpoint, region, bucket, credentials: {name: {accessKeyId, accessKeySecret, stsToken}}, keys, picture} as JSON from standard input,
// tries every way of signing with every key and every forgery, and writes what it saw as JSON; judging is left to the caller.
import http from 'node:http';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import OSS from 'ali-oss';

const config = JSON.parse(await text(process.stdin));
const pictureProcess = 'image/resize,l_100/format,png';

// fetchRaw requests a URL byte by byte as it is; fetch() would resolve "..", as a browser does.
function fetchRaw(url, method = 'GET', headers = {}) {
  const { hostname, port, origin } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, path: url.slice(origin.length), method, headers }, async (response) => {
      const body = await text(response);
      resolve({ status: response.statusCode, type: response.headers['content-type'], body, code: /<Code>(.*)<\/Code>/.exec(body)?.[1] ?? '' });
    });
    request.on('error', reject);
    request.end();
  });
}

// outcome is {status} of a call, or {status, code} of the error it ended with.
async function outcome(call) {
  try {
    const result = await call();
    return { status: result.res?.status ?? result.status, code: '' };
  } catch (error) {
    return { status: error.status, code: error.code };
  }
}

function client(version, credentials, options = {}) {
  return new OSS({
    ...credentials, bucket: config.bucket, region: `oss-${config.region}`, endpoint: config.endpoint, sldEnable: true,
    authorizationV4: version === 'V4', retryMax: 0, timeout: 60000, ...options,
  });
}

// sign returns a presigned URL for GET.
async function sign(oss, version, key, expires, process) {
  if (version === 'V4') {
    return oss.signatureUrlV4('GET', expires, { queries: process ? { 'x-oss-process': process } : {} }, key);
  }
  return oss.signatureUrl(key, { expires, ...(process && { process }) });
}

async function operations(oss, version, key) {
  const content = `content of ${key}`;
  const put = await oss.put(key, Buffer.from(content), { meta: { source: 'node' } });
  const head = await oss.head(key);
  const get = await oss.get(key);
  const list = await oss.listV2({ prefix: key, 'max-keys': 10 });
  const url = await fetchRaw(await sign(oss, version, key, 60));
  const remove = await oss.delete(key);
  const gone = await outcome(() => oss.head(key));
  return {
    put: put.res.status, head: head.status, meta: head.meta?.source ?? '', get: get.content.toString() === content,
    listed: list.objects?.map((object) => object.name) ?? [], url: url.status, urlContent: url.body === content,
    delete: remove.res.status, gone: gone.status,
  };
}

// change replaces a parameter of a URL's query.
function change(url, name, to) {
  const changed = url.replace(new RegExp(`([?&]${name}=)[^&]*`), (_, before) => before + to);
  if (changed === url) {
    throw new Error(`the presigned URL has no parameter ${name} to change`);
  }
  return changed;
}

// anHourAgo runs a call with the clock an hour late.
async function anHourAgo(call) {
  const Now = globalThis.Date;
  globalThis.Date = class extends Now {
    constructor(...args) {
      super(...(args.length > 0 ? args : [Now.now() - 3600_000]));
    }

    static now() {
      return Now.now() - 3600_000;
    }
  };
  try {
    return await call();
  } finally {
    globalThis.Date = Now;
  }
}

// forgeries tries what must not work, on an object that is there.
async function forgeries(oss, version, credentials) {
  const key = config.picture;
  const v4 = version === 'V4';
  const good = await sign(oss, version, key, 60, pictureProcess);
  const genuine = await fetchRaw(good);
  const results = {
    genuine: { status: genuine.status, code: genuine.code },
    'forged signature': await fetchRaw(change(good, v4 ? 'x-oss-signature' : 'Signature', v4 ? '0'.repeat(64) : 'AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D')),
    'changed x-oss-process': await fetchRaw(change(good, 'x-oss-process', encodeURIComponent('image/resize,l_4000/format,png'))),
    'removed x-oss-process': await fetchRaw(good.replace(/x-oss-process=[^&]*&?/, '')),
    'other key': await fetchRaw(good.replace(encodeURIComponent(key), 'other.jpg')),
    // Correctly signed for a minute that is over.
    'expired URL': await fetchRaw(await anHourAgo(() => sign(oss, version, key, 60, pictureProcess))),
    'changed expiry': await fetchRaw(change(good, v4 ? 'x-oss-expires' : 'Expires', v4 ? '604800' : '4102444800')),
    'changed date': await fetchRaw(change(good, v4 ? 'x-oss-date' : 'Expires', v4 ? '20200101T000000Z' : '1577836800')),
    'other method': await fetchRaw(good, 'DELETE'),
    'forged secret': await outcome(() => client(version, { ...credentials, accessKeySecret: 'not-the-secret' }).get(key)),
    'unknown key': await outcome(() => client(version, { ...credentials, accessKeyId: 'nobody' }).get(key)),
    'late clock': await outcome(() => client(version, credentials, { amendTimeSkewed: -16 * 60 * 1000 }).get(key)),
  };
  if (credentials.stsToken) {
    results['wrong token'] = await fetchRaw(change(good, v4 ? 'x-oss-security-token' : 'security-token', 'wrong'));
    results['wrong token in the header'] = await outcome(() => client(version, { ...credentials, stsToken: 'wrong' }).get(key));
    results['no token'] = await outcome(() => client(version, { ...credentials, stsToken: '' }).get(key));
  }
  return Object.fromEntries(Object.entries(results).map(([what, { status, code }]) => [what, { status, code }]));
}

const results = [];
for (const [name, credentials] of Object.entries(config.credentials)) {
  for (const version of ['V1', 'V4']) {
    const oss = client(version, credentials);
    const keys = {};
    for (const key of config.keys) {
      keys[key] = await operations(oss, version, key);
    }
    results.push({ version, credentials: name, keys, forgeries: await forgeries(oss, version, credentials) });
  }
}
process.stdout.write(JSON.stringify(results));
