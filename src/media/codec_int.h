/** The table rows' functions, one file per codec: private to src/media. */
#pragma once

#include "media/payload.h"

int payload_opus_inspect(struct bytes payload, bool marker, struct payload_info *ret_info);
int payload_vp8_inspect(struct bytes payload, bool marker, struct payload_info *ret_info);
int payload_vp9_inspect(struct bytes payload, bool marker, struct payload_info *ret_info);
int payload_h264_inspect(struct bytes payload, bool marker, struct payload_info *ret_info);
int payload_av1_inspect(struct bytes payload, bool marker, struct payload_info *ret_info);

void codec_vp8_answer(struct bytes fmtp, struct text_builder *out);

bool codec_vp9_accepts(struct bytes fmtp);
bool codec_vp9_compatible(struct bytes sent, struct bytes received);
void codec_vp9_answer(struct bytes fmtp, struct text_builder *out);

bool codec_h264_accepts(struct bytes fmtp);
bool codec_h264_compatible(struct bytes sent, struct bytes received);
void codec_h264_answer(struct bytes fmtp, struct text_builder *out);

bool codec_av1_accepts(struct bytes fmtp);

/** The number of a parameter, or `otherwise` when absent or no number. */
uint64_t codec_fmtp_number(struct bytes fmtp, const char *name, uint64_t otherwise);
