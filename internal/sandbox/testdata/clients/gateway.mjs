// Calls the sandbox's API gateway with the provider's official client, as its demo does. Reads {url, appKey, appSecret, calls} from
// stdin; each call has a form, and its query, if any, is added to the URL. Prints how each call ended.
import { readFileSync } from 'node:fs';
import gateway from 'aliyun-api-gateway';

const { url, appKey, appSecret, calls } = JSON.parse(readFileSync(0, 'utf8'));
const client = new gateway.Client(appKey, appSecret);
const outcomes = [];
for (const { query, form } of calls) {
  const target = query ? `${url}?${new URLSearchParams(query)}` : url;
  try {
    const body = await client.post(target, {
      data: form, headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8', accept: 'application/json' },
    });
    outcomes.push({ status: 200, body });
  } catch (error) {
    outcomes.push({ status: error.code, message: error.data?.headers['x-ca-error-message'] ?? String(error) });
  }
}
console.log(JSON.stringify(outcomes));
