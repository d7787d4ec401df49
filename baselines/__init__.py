"""The methods that can be trained on a corpus: one file each, imported when asked for by name."""

BUILTIN: dict[str, str] = {
    "gpt": "baselines.gpt:GPT",
    "leakgan": "baselines.leakgan:LeakGAN",
    "lstm_gan": "baselines.lstm_gan:LSTMGAN",
    "lstm_gan_reinforce": "baselines.lstm_gan:LSTMGANReinforce",
    "maskgan": "baselines.maskgan:MaskGAN",
    "mle": "baselines.mle:MLE",
    "ngram": "baselines.ngram:Ngram",
    "nnlm": "baselines.nnlm:NNLM",
    "pg_bleu": "baselines.pg_bleu:PGBleu",
    "relgan": "baselines.relgan:RelGAN",
    "scheduled_sampling": "baselines.scheduled_sampling:ScheduledSampling",
    "scratchgan": "baselines.scratchgan:ScratchGAN",
    "seqgan": "baselines.seqgan:SeqGAN",
    "textgan": "baselines.textgan:TextGAN",
    "tuned_mle": "baselines.tuned_mle:TunedMLE",
}
