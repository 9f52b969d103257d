package console

import "fc-idcard-ocr/internal/result"

// remedy says what to do about an image, in both languages of the page.
type remedy struct {
	EN string `json:"en"`
	ZH string `json:"zh-CN"`
}

// remedies is the one table of what to do: by error code, and by State for images without one.
var remedies = map[string]remedy{
	string(result.NotRecognized):    {"No ID number was found. Is it the front of the card, whole and sharp? Upload a better picture.", "没有找到身份证号码。是否为证件人像面，完整且清晰？请上传更好的图片。"},
	string(result.ImageRejected):    {"The provider cannot read the picture. Is the file a complete JPEG, PNG or BMP? Upload another one.", "服务商无法读取图片。文件是否为完整的 JPEG、PNG 或 BMP？请上传其他图片。"},
	string(result.ImageTooLarge):    {"The picture is too large. Upload a smaller one, or raise MAX_IMAGE_BYTES.", "图片太大。请上传较小的图片，或调大 MAX_IMAGE_BYTES。"},
	string(result.ImageUnsupported): {"The file is empty, or no picture that OSS can process. Use JPEG, PNG, BMP, WebP or HEIC.", "文件为空，或不是 OSS 能处理的图片。请使用 JPEG、PNG、BMP、WebP 或 HEIC。"},
	string(result.ImageNotFound):    {"The image is gone. Upload it again.", "图片已不存在，请重新上传。"},
	string(result.AccessDenied):     {"The function's role may not do this in the bucket. Compare it with deploy/ram-policy.json; ocrctl doctor checks it.", "函数角色缺少权限。请与 deploy/ram-policy.json 对照，可用 ocrctl doctor 检查。"},
	string(result.Throttled):        {"The OCR API limits calls. Lower the concurrency or OCR_RATE_LIMIT, then retry.", "OCR 接口限流。请降低并发或 OCR_RATE_LIMIT，然后重试。"},
	string(result.QuotaExhausted):   {"The calls are used up or have expired. Buy or renew the package, then recognise these images again.", "调用次数已用完或已过期。请购买或续费，然后重新识别。"},
	string(result.Unauthorized):     {"The OCR API refuses key, code or signature. Correct OCR_APP_KEY and OCR_APP_SECRET, then recognise again.", "OCR 接口拒绝了密钥或签名。请更正 OCR_APP_KEY 与 OCR_APP_SECRET，然后重新识别。"},
	string(result.ClockSkew):        {"The instance's clock is off. Report it to the platform, then retry.", "实例时钟偏差过大。请向平台反馈，然后重试。"},
	string(result.Unavailable):      {"Network, OCR API or OSS is out of order. Wait, then retry.", "网络、OCR 接口或 OSS 故障。请等待后重试。"},
	string(result.Timeout):          {"The OCR API did not answer in time. Wait, then retry; raise the function's time-out if it happens often.", "OCR 接口超时。请等待后重试；若经常发生，请调大函数超时时间。"},
	string(result.BadAnswer):        {"The answer cannot be understood and was probably charged; it is in the document's rawText. Report it to the provider.", "响应无法解析，可能已计费；内容在文档的 rawText 中。请反馈给服务商。"},
	string(result.AnswerLost):       {"A call was perhaps charged and its answer never came. Decide whether to pay again.", "某次调用可能已计费，但没有收到响应。请决定是否再次付费识别。"},
	string(result.InProgress):       {"Another invocation is working on it. Wait.", "另一次执行正在处理，请等待。"},
	string(result.BadRequest):       {"The request was not understood. Look at the function's log.", "请求无法理解，请查看函数日志。"},
	string(result.NotAllowed):       {"HTTP_ALLOW does not name this object. Add it, or upload the picture elsewhere.", "HTTP_ALLOW 未包含此对象。请添加，或将图片上传到其他位置。"},
	string(result.Internal):         {"The function failed. Look at its log, report the fault, then retry.", "函数出错。请查看日志并反馈，然后重试。"},
	string(result.StorageRefused):   {"The bucket's set-up refuses what the function does. ocrctl doctor says what; then retry.", "存储桶的设置拒绝了函数的操作。用 ocrctl doctor 找出原因，然后重试。"},
	string(result.ImageArchived):    {"The object is archived. Restore it in OSS, then retry.", "对象已归档。请先在 OSS 中解冻，然后重试。"},
	string(result.ImageReplaced):    {"The picture was replaced meanwhile. The new one is recognised by its own event; if it was not, retry.", "图片在识别期间被替换。新图片由其自身的事件触发识别；若没有，请重试。"},
	string(result.BudgetExhausted):  {"OCR_DAILY_LIMIT is used up for today. Wait for tomorrow, or raise it, then retry.", "当天的 OCR_DAILY_LIMIT 已用完。请等到明天或调大后重试。"},

	string(StateContradictory): {"Something on the card does not fit the ID number. Compare it with the picture, and confirm or correct it.", "证件内容与身份证号码不符。请与图片对照，确认或更正。"},
	string(StateDoubtful):      {"Something could not be checked. Compare it with the picture, and confirm or correct it.", "部分内容无法校验。请与图片对照，确认或更正。"},
	string(StateStale):         {"The document is older than the picture, or the work on it broke off. Retry.", "结果早于图片，或处理中断。请重试。"},
	string(StateWaiting):       {"No event has reached the function yet. If it stays so, the event was lost: retry.", "函数尚未收到事件。若一直如此，事件已丢失：请重试。"},
	string(StateForeign):       {"What lies beside the picture is no document of this program. Remove or rename it, then retry.", "图片旁的文件不是本程序的结果文档。请删除或改名，然后重试。"},
}
