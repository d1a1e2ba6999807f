"""Does the model get better? Models trained on what each method selects, and measured on the target's test set.

`tsds evaluate pretraining` continues masked-LM training and finetunes a classifier; `tsds evaluate instruction`
finetunes a language model on chats. docs/evaluate.md has the protocol.
"""
