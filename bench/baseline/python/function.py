"""A typical function: it signs a URL, calls the OCR API with an AppCode and writes the response beside the image. Below the
line is the loop that is part of Function Compute's Python runtime."""
import base64, hashlib, hmac, json, os, time, urllib.parse, urllib.request
from email.utils import formatdate

OCR, APP_CODE, OSS = os.environ["OCR_ENDPOINT"], os.environ["OCR_APP_CODE"], os.environ["OSS_ENDPOINT"]


def sign(secret, text):
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def signed_url(credentials, bucket, key):
    expires = int(time.time()) + 300
    resource = "/%s/%s?security-token=%s" % (bucket, key, credentials["token"])
    query = {"OSSAccessKeyId": credentials["id"], "Expires": expires, "security-token": credentials["token"],
             "Signature": sign(credentials["secret"], "GET\n\n\n%d\n%s" % (expires, resource))}
    return "%s/%s/%s?%s" % (OSS, bucket, urllib.parse.quote(key), urllib.parse.urlencode(query))


def put(credentials, bucket, key, body):
    date, kind = formatdate(usegmt=True), "application/json"
    text = "PUT\n\n%s\n%s\nx-oss-security-token:%s\n/%s/%s" % (kind, date, credentials["token"], bucket, key)
    request = urllib.request.Request("%s/%s/%s" % (OSS, bucket, urllib.parse.quote(key)), body, method="PUT", headers={
        "Date": date, "Content-Type": kind, "x-oss-security-token": credentials["token"],
        "Authorization": "OSS %s:%s" % (credentials["id"], sign(credentials["secret"], text))})
    urllib.request.urlopen(request).read()


def handler(event, credentials):
    for record in json.loads(event)["events"]:
        bucket, key = record["oss"]["bucket"]["name"], record["oss"]["object"]["key"]
        form = urllib.parse.urlencode({"imgUrl": signed_url(credentials, bucket, key), "need_more_info": "1"})
        request = urllib.request.Request(OCR, form.encode(), headers={"Authorization": "APPCODE " + APP_CODE})
        answer = urllib.request.urlopen(request).read()
        print(answer.decode())
        put(credentials, bucket, key + ".ocr.json", answer)
    return "done"


# ----------------------------------------------------------------------------------------------------------------------
def main():
    base = "http://" + os.environ["FC_RUNTIME_API"] + "/2020-11-11/runtime/invocation/"
    while True:
        with urllib.request.urlopen(base + "next") as response:
            event, headers = response.read(), response.headers
        credentials = {"id": headers["x-fc-access-key-id"], "secret": headers["x-fc-access-key-secret"], "token": headers["x-fc-security-token"]}
        try:
            answer, kind = handler(event, credentials), "/response"
        except Exception as error:
            answer, kind = str(error), "/error"
        urllib.request.urlopen(base + headers["x-fc-request-id"] + kind, answer.encode()).read()


if __name__ == "__main__":
    main()
