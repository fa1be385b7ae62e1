"""Who starts, watches and stops the model servers?"""
